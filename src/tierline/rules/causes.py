"""Why a call to a model gave no answer, and what follows from it for its job."""

from enum import Enum

from tierline.rules.retries import Retry
from tierline.rules.verdicts import Verdict


class Cause(Enum):
    """Whose failure a call without an answer is, and so what is done about it.

    Each: the attempt's verdict; whether the same call may be made again; whether the provider may
    bill it (False: surely not, True: surely, None: unknown).
    """

    # Surely not served.
    RATE_LIMITED = Verdict.RATE_LIMITED, Retry.HOLD, False  # 429: come back later
    OVERLOADED = Verdict.PROVIDER_ERROR, Retry.AGAIN, False  # 503, 529, what asks for it again
    UNREACHABLE = Verdict.PROVIDER_ERROR, Retry.AGAIN, False  # no connection was made

    CIRCUIT_OPEN = Verdict.PROVIDER_ERROR, Retry.OUTAGE, False  # not sent: others have failed

    # May have been served.
    SERVER = Verdict.PROVIDER_ERROR, Retry.ONCE, None  # 408, other 5xx, a connection that broke
    TIMEOUT = Verdict.TIMEOUT, Retry.ONCE, None  # no whole answer inside the deadline
    UNREADABLE = Verdict.PROVIDER_ERROR, Retry.ONCE, None  # not JSON, cut, too long

    # The operator's to mend: the same call fails the same way until then.
    KEY = Verdict.PROVIDER_ERROR, Retry.HOLD, False  # 401, 403
    QUOTA = Verdict.PROVIDER_ERROR, Retry.HOLD, False  # paid up to here, or until tomorrow
    NOT_CONFIGURED = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # no key, no address
    MODEL = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # the provider has no such model

    # The account's: no other tier is asked than one that its budget holds.
    BUDGET_IN_USE = Verdict.BUDGET, Retry.HOLD, False  # by calls that are out
    BUDGET_SPENT = Verdict.BUDGET, Retry.NEVER, False
    UNPRICED = Verdict.BUDGET, Retry.NEVER, False  # nobody knows what it would take of a budget

    PLAN = Verdict.PLAN, Retry.NEVER, False  # the account's does not reach to this tier

    # The request's own: no other try of it does better.
    REQUEST = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # 400, 413, 422
    CONTEXT = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # longer than the model's context
    NO_ANSWER = Verdict.PROVIDER_ERROR, Retry.NEVER, True  # it stopped, and gave no answer
    TOO_LATE = Verdict.TIMEOUT, Retry.NEVER, False  # the job's deadline passed before it was sent

    def __init__(self, verdict: Verdict, retry: Retry, served: bool | None) -> None:
        self.verdict = verdict
        self.retry = retry
        self.served = served

    def __new__(cls, *_: object) -> "Cause":
        # Members with the same consequences are still different causes: each is its own value.
        cause = object.__new__(cls)
        cause._value_ = len(cls.__members__)
        return cause
