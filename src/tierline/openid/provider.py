"""What an identity provider says of itself (OpenID Connect Discovery 1.0), and requests to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote_plus, urlencode, urlsplit

from tierline.base.json_text import JSON
from tierline.openid.access import AccessRules
from tierline.openid.attempt import Attempt

CALLBACK = "/console/sign-in/callback"
MOST_URL = 2000  # characters


@dataclass(frozen=True)
class OpenIdConfig:
    """The settings of sign-in by OpenID Connect."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    base_url: str  # the console's address, as browsers have it, without a path
    scopes: str
    rules: AccessRules
    session_s: float
    timeout_s: float
    proxies: int = 0  # before the API, each of which adds to X-Forwarded-For

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends browsers back to. It must know this address."""
        return self.base_url + CALLBACK


@dataclass(frozen=True)
class Endpoints:
    """The addresses of an identity provider."""

    authorization: str
    token: str
    keys: str
    secret_in_form: bool  # the client secret goes into the form, because it takes no header
    names_issuer: bool  # its answers carry `iss` (RFC 9207)


def discovery_url(issuer: str) -> str:
    """Where the issuer's discovery document is."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def read_discovery(document: Mapping[str, JSON], issuer: str) -> Endpoints:
    """The addresses in a discovery document. Raises ValueError with what is wrong with it."""
    if document.get("issuer") != issuer:
        raise ValueError("it is the document of another issuer than TIERLINE_OIDC_ISSUER")
    methods = document.get("token_endpoint_auth_methods_supported")
    basic = not isinstance(methods, list) or "client_secret_basic" in methods
    if not basic and isinstance(methods, list) and "client_secret_post" not in methods:
        raise ValueError("it takes no client secret")
    return Endpoints(
        _address(document, "authorization_endpoint", issuer),
        _address(document, "token_endpoint", issuer),
        _address(document, "jwks_uri", issuer),
        secret_in_form=not basic,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def authorization_url(config: OpenIdConfig, endpoints: Endpoints, attempt: Attempt) -> str:
    """Where the browser goes to sign in."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": config.redirect_uri,
            "scope": config.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
    )
    mark = "&" if urlsplit(endpoints.authorization).query else "?"
    return f"{endpoints.authorization}{mark}{query}"


@dataclass(frozen=True)
class TokenRequest:
    """The request that redeems a code. `basic`: user and password of its Authorization header."""

    form: Mapping[str, str] = field(repr=False)
    basic: tuple[str, str] | None = field(repr=False)


def token_request(
    config: OpenIdConfig, endpoints: Endpoints, code: str, verifier: str
) -> TokenRequest:
    """The request for a code. In the header, id and secret are encoded as in a form (RFC 6749,
    section 2.3.1)."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": config.redirect_uri,
        "code_verifier": verifier,
    }
    if endpoints.secret_in_form:
        secrets = {"client_id": config.client_id, "client_secret": config.client_secret}
        return TokenRequest(form | secrets, None)
    return TokenRequest(form, (quote_plus(config.client_id), quote_plus(config.client_secret)))


def check_url(url: str) -> str:
    """The URL of an identity provider or of the console. Raises ValueError, which repeats nothing.

    HTTPS, except on loopback. No user, query or fragment.
    """
    if not url.isascii() or len(url) > MOST_URL or any(not "!" <= letter <= "~" for letter in url):
        raise ValueError("is not a URL of printable ASCII characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("must begin with https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must not contain a user name, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https://, except on loopback")
    return url


def check_scopes(scopes: str) -> str:
    """The scopes to ask for. Raises ValueError."""
    names: Sequence[str] = scopes.split()
    if "openid" not in names:
        raise ValueError("must name the scope openid")
    if not scopes.isascii() or not scopes.isprintable() or set(scopes) & set('"\\'):
        raise ValueError("has names of scopes with spaces between them")
    return " ".join(names)


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(document: Mapping[str, JSON], name: str, issuer: str) -> str:
    url = document.get(name)
    if not isinstance(url, str):
        raise ValueError(f"it has no {name}")
    try:
        check_url(url.partition("?")[0])  # a query is allowed here (RFC 6749, section 3.1)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if urlsplit(issuer).scheme == "https" and urlsplit(url).scheme != "https":
        raise ValueError(f"{name} must begin with https://, as the issuer does")
    if not url.isascii() or not url.isprintable() or "#" in url or len(url) > MOST_URL:
        raise ValueError(f"{name} is not a URL")
    return url
