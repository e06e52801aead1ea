"""When to ask again for what has not ended yet: the Retry-After of jobs and batches."""

from datetime import UTC, datetime

MOST_S = 15  # a wait on the first request is the better way
SHARE = 10


def ask_again(created_at: datetime) -> dict[str, str]:
    """The header. What has waited for a minute is worth asking for every 6 s: who follows it hears
    of the end at most a tenth of its age late, and asks a few dozen times."""
    age_s = (datetime.now(UTC) - created_at).total_seconds()
    return {"Retry-After": str(min(MOST_S, max(1, int(age_s / SHARE))))}
