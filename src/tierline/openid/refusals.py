"""Why a sign-in by OpenID Connect is refused: a reason for the log, and a text for the person.

No text repeats what the provider or the browser sent.
"""

UNAUTHORIZED, FORBIDDEN, UNAVAILABLE = 401, 403, 503


class SignInRefused(Exception):
    """A sign-in that does not begin a session.

    `reason` is a short name for logs and the audit log, `text` is shown to the person, `claim`
    names the claim that it is about, if any.
    """

    def __init__(
        self,
        reason: str,
        text: str,
        status: int = UNAUTHORIZED,
        claim: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text
        self.status = status
        self.claim = claim


class ProviderFailed(SignInRefused):
    """The identity provider is away or does not answer as one. A later try may succeed."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text, UNAVAILABLE)


class InvalidToken(SignInRefused):
    """An ID token that cannot be trusted. `other_keys`: it may be valid by keys that the provider
    has published since."""

    def __init__(self, reason: str, text: str, *, other_keys: bool = False) -> None:
        super().__init__(reason, f"The identity provider's ID token was refused: {text}.")
        self.other_keys = other_keys
