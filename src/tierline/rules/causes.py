"""Why a call to a model gave no answer, and what follows from that for its job."""

from enum import Enum

from tierline.rules.retries import Retry
from tierline.rules.verdicts import Verdict


class Cause(Enum):
    """Why a call gave no answer.

    Each cause has the attempt's verdict, whether the same call may be made again, and whether the
    provider may bill the call (False: certainly not, True: certainly, None: unknown).
    """

    # The provider certainly did not serve the call.
    RATE_LIMITED = Verdict.RATE_LIMITED, Retry.HOLD, False  # 429: try again later
    # 503, 529, or an error that asks for a retry
    OVERLOADED = Verdict.PROVIDER_ERROR, Retry.AGAIN, False
    UNREACHABLE = Verdict.PROVIDER_ERROR, Retry.AGAIN, False  # no connection was made

    # not sent, because earlier calls failed
    CIRCUIT_OPEN = Verdict.PROVIDER_ERROR, Retry.OUTAGE, False

    # The provider may have served the call.
    SERVER = Verdict.PROVIDER_ERROR, Retry.ONCE, None  # 408, other 5xx, or the connection broke
    TIMEOUT = Verdict.TIMEOUT, Retry.ONCE, None  # no complete answer within the deadline
    UNREADABLE = Verdict.PROVIDER_ERROR, Retry.ONCE, None  # not JSON, cut off, or too long

    # The operator must fix it; until then the same call fails the same way.
    KEY = Verdict.PROVIDER_ERROR, Retry.HOLD, False  # 401, 403
    # no credit left, or the day's quota is used up
    QUOTA = Verdict.PROVIDER_ERROR, Retry.HOLD, False
    NOT_CONFIGURED = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # no key, no address
    MODEL = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # the provider has no such model

    # The account's budget does not cover the call. Only tiers that the budget covers are asked.
    BUDGET_IN_USE = Verdict.BUDGET, Retry.HOLD, False  # reserved by calls under way
    BUDGET_SPENT = Verdict.BUDGET, Retry.NEVER, False
    # the price is unknown, so a budget cannot hold it
    UNPRICED = Verdict.BUDGET, Retry.NEVER, False

    PLAN = Verdict.PLAN, Retry.NEVER, False  # the account's plan does not include this tier

    # The request itself is at fault, so another try does not help.
    REQUEST = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # 400, 413, 422
    CONTEXT = Verdict.PROVIDER_ERROR, Retry.NEVER, False  # longer than the model's context
    NO_ANSWER = Verdict.PROVIDER_ERROR, Retry.NEVER, True  # it ended without an answer
    # the job's deadline passed before the call was sent
    TOO_LATE = Verdict.TIMEOUT, Retry.NEVER, False

    def __init__(self, verdict: Verdict, retry: Retry, served: bool | None) -> None:
        self.verdict = verdict
        self.retry = retry
        self.served = served

    def __new__(cls, *_: object) -> "Cause":
        # Enum makes members with equal values aliases, so each cause gets a number of its own.
        cause = object.__new__(cls)
        cause._value_ = len(cls.__members__)
        return cause
