"""Which addresses a webhook may reach: the guard against server-side request forgery.

There are two checks: the form of a URL, when it is registered or submitted, without DNS; and each
address of its host, when it is called. Only global unicast addresses pass, and the networks that
the operator allows. An address has one accepted spelling: forms that another program might read
differently (octal, hexadecimal, a bare number, a trailing dot, full-width digits) are refused.

Ports are limited too, so that nobody can use webhooks to find out which ports of a host are open.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from tierline.base.errors import InvalidInput, Problem, TierlineError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2048  # characters; proxies and logs cut longer ones
PORTS = {"http": 80, "https": 443}

# IANA's special-purpose registries as a list, because is_global differs between Python versions.
_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space of carriers (CGNAT)
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Without mapped and translated addresses, unique local, link-local and multicast ones.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: contains an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)

# Metadata services with cloud credentials: refused even inside an allowed network.
METADATA_ADDRESSES = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.com",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "metadata.oraclecloud.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "instance-data",
        "instance-data.ec2.internal",
    }
)
# Names for places inside a network (RFC 6761, 6762, 8375 and custom).
_INNER_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".localdomain", ".lan")

_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<host>\[[^\]/?#@]*\]|[^\[\]/?#@:]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/[^?#]*)?(?:\?[^#]*)?)"
)
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressRefused(TierlineError):
    """A webhook may not reach this address."""


class PortRefused(AddressRefused):
    """A webhook may not use this port at this address."""


@dataclass(frozen=True)
class Reach:
    """What the operator allows webhooks beyond ports 80 and 443 of global addresses."""

    networks: Sequence[Network] = ()  # any port of these addresses is allowed
    ports: Sequence[int] = ()  # these ports are allowed at all other addresses

    def takes_port(self, port: int, address: Address | None) -> bool:
        """Whether a port may be used at an address; None: the address is not known yet.

        A host name with another port is accepted for now: its addresses must be in an allowed
        network, which is checked at the call.
        """
        if port in PORTS.values() or port in self.ports:
            return True
        if address is None:
            return bool(self.networks)
        return _is_in(address, self.networks)


NOTHING_MORE = Reach()
OTHER_PORTS_END = "0.3.0"  # the release that stops calling older URLs on other ports


@dataclass(frozen=True)
class Target:
    """A parsed URL. It is parsed once, so that no second parser can read it differently."""

    scheme: str  # http or https
    host: str  # a lower-case name, or an address without brackets
    port: int
    path: str  # with its query; at least "/"

    @property
    def address(self) -> Address | None:
        """The host as an address; None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """The Host header. It omits the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


def check_url(url: str, reach: Reach = NOTHING_MORE, path: str = "/webhook_url") -> None:
    """Refuse a URL that webhooks cannot be sent to. Raises InvalidInput with the field `path`.

    It makes no DNS look-up; the addresses of a name are checked at each call.
    """
    try:
        target = read_url(url, reach.networks)
        check_port(target.port, target.address, reach)
    except AddressRefused as refused:
        raise InvalidInput([Problem(refused.message, path)]) from None


def check_port(port: int, address: Address | None, reach: Reach) -> None:
    """Refuse a port that `Reach.takes_port` does not allow. Raises PortRefused."""
    if not reach.takes_port(port, address):
        raise PortRefused(
            f"port {port} is not allowed for webhooks: use 80, 443, or a port that the operator "
            "lists"
            " in TIERLINE_WEBHOOK_PORTS; networks in TIERLINE_WEBHOOK_ALLOW may use any port"
        )


def other_port(url: str, reach: Reach) -> int | None:
    """The port of a URL that is allowed only because the URL was registered before ports were
    limited; None if the port is allowed anyway or the URL is invalid."""
    try:
        target = read_url(url, reach.networks)
    except AddressRefused:
        return None
    return None if reach.takes_port(target.port, target.address) else target.port


def read_url(url: str, allow: Sequence[Network] = ()) -> Target:
    """The parts of a URL that a webhook may use. Raises AddressRefused with the reason."""
    if len(url) > MAX_URL:
        raise AddressRefused(f"longer than {MAX_URL} characters")
    if not all("!" <= character <= "~" for character in url) or "\\" in url:
        raise AddressRefused(
            "contains white space, a backslash or a character that is not ASCII:"
            " write a name in its xn-- form and percent-encode a path"
        )
    if "#" in url:
        raise AddressRefused("has a fragment (#…), which is never sent")
    if "@" in re.split(r"[/?]", url.partition("://")[2], maxsplit=1)[0]:
        raise AddressRefused("contains a user name or password; put a token into the path or query")
    match = _URL.fullmatch(url)
    if match is None or match["scheme"].lower() not in PORTS:
        raise AddressRefused("not an absolute http:// or https:// URL")
    scheme = match["scheme"].lower()
    port = PORTS[scheme] if match["port"] is None else int(match["port"])
    if not 1 <= port <= 65535:
        raise AddressRefused("the port is not from 1 to 65535")
    host = _host(match["host"].lower(), allow)
    target = match["target"]
    return Target(scheme, host, port, target if target.startswith("/") else f"/{target}")


def check_address(address: Address, allow: Sequence[Network] = ()) -> None:
    """Refuse an address that is neither global nor in an allowed network. Raises AddressRefused."""
    inner = _inside(address)
    if address in METADATA_ADDRESSES or inner in METADATA_ADDRESSES:
        raise AddressRefused("the address is a cloud's metadata service")
    if inner is not None:
        # An allowed network does not include other ways to write its addresses.
        raise AddressRefused(
            "the address is an IPv4 address inside an IPv6 address; write it as IPv4"
        )
    if _is_in(address, allow):
        return
    if isinstance(address, IPv4Address):
        refused = any(address in network for network in _REFUSED_V4)
    else:
        refused = (
            address not in _GLOBAL_V6
            or address.scope_id is not None
            or any(address in network for network in _REFUSED_V6)
        )
    if refused or not address.is_global or address.is_multicast:
        raise AddressRefused(
            "the address is not a global one; the operator can allow"
            " its network with TIERLINE_WEBHOOK_ALLOW"
        )


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _host(host: str, allow: Sequence[Network]) -> str:
    if host.startswith("["):
        try:
            literal: Address = IPv6Address(host[1:-1])
        except ValueError:
            raise AddressRefused("the host is not an IPv6 address") from None
        check_address(literal, allow)
        return str(literal)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        # Many programs read a host as an address if its last label is a number (WHATWG URL).
        try:
            literal = IPv4Address(host)
        except ValueError:
            raise AddressRefused(
                "the host is a number but not an IPv4 address of four decimal parts"
            ) from None
        check_address(literal, allow)
        return host
    if host.endswith("."):
        raise AddressRefused("the host ends in a dot")
    if not _NAME.fullmatch(host):
        raise AddressRefused("the host is not a name or an address")
    if host in METADATA_NAMES:
        raise AddressRefused("the host is a cloud's metadata service")
    if not allow and ("." not in host or host.endswith(_INNER_SUFFIXES)):
        raise AddressRefused(
            "the host is a private network name; the operator can allow"
            " its network with TIERLINE_WEBHOOK_ALLOW"
        )
    return host


def _inside(address: Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 address: mapped, translated (RFC 6052, 8215), compatible,
    6to4, Teredo or ISATAP (RFC 5214); None if there is none."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if (int(address) >> 32) & 0xFCFF_FFFF == 0x0000_5EFE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if int(address) >> 32 == 0 and int(address) > 1:
        return IPv4Address(int(address))
    return None


_TRANSLATED = (
    ip_network("64:ff9b::/96"),
    ip_network("64:ff9b:1::/48"),
    ip_network("::ffff:0:0:0/96"),
)
