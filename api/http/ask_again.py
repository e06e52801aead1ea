"""When to poll again for something that has not ended: the Retry-After of jobs and batches."""

from datetime import UTC, datetime

MOST_S = 15  # waiting with the first request is better than polling less often
SHARE = 10


def ask_again(created_at: datetime) -> dict[str, str]:
    """The header. It grows with the age: after a minute it says 6 s. So a poller learns of the end
    at most a tenth of the age late, with a few dozen requests."""
    age_s = (datetime.now(UTC) - created_at).total_seconds()
    return {"Retry-After": str(min(MOST_S, max(1, int(age_s / SHARE))))}
