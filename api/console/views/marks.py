"""Marks of states, tiers and verdicts: a sign, a word and a colour, never a colour alone."""

from typing import NamedTuple

from tierline.rules.jobs import Status
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.views.features.models import Model


class Mark(NamedTuple):
    """A sign, its word, and the name of its colour in the style sheet."""

    sign: str
    word: str
    tone: str  # good, bad, warn, busy, quiet, first, later


_STATUSES = {
    Status.QUEUED: Mark("○", "queued", "quiet"),
    Status.IN_PROGRESS: Mark("◐", "in progress", "busy"),
    Status.COMPLETED: Mark("✓", "completed", "good"),
    Status.FAILED: Mark("✕", "failed", "bad"),
    Status.CANCELLED: Mark("⊘", "cancelled", "quiet"),
    Status.EXPIRED: Mark("◷", "expired", "warn"),
}
_BY_STATUS = {status.value: mark for status, mark in _STATUSES.items()}


def status_mark(status: str) -> Mark:
    """The mark of a job's status; one of a later release is shown by its name."""
    return _BY_STATUS.get(status, Mark("•", status, "quiet"))


def tier_mark(tier: str, place: int | None = None) -> Mark:
    """The mark of a tier. `place`: its position among the tiers that call a model; -1: a micro
    tier."""
    if place is None:
        return Mark("▪", tier, "quiet")
    if place < 0:
        return Mark("▪", tier, "quiet")
    return Mark("●", tier, "first") if place == 0 else Mark("◆", tier, "later")


def verdict_mark(verdict: str | None) -> Mark:
    """The mark of an attempt's verdict; None: it runs."""
    if verdict is None:
        return Mark("◐", "running", "busy")
    word = verdict.replace("_", " ")
    if verdict == Verdict.PASSED:
        return Mark("✓", word, "good")
    if verdict in CHECK_FAILURES:
        return Mark("✕", word, "bad")
    return Mark("!", word, "warn")


_DELIVERIES = {
    "pending": Mark("◐", "pending", "busy"),
    "delivered": Mark("✓", "delivered", "good"),
    "failed": Mark("✕", "failed", "bad"),
}


def delivery_mark(status: str) -> Mark:
    """The mark of a webhook delivery."""
    return _DELIVERIES.get(status, Mark("•", status, "quiet"))


def model_mark(model: Model) -> Mark:
    """Whether jobs can call the model now."""
    if model.circuit_open is not None:
        return Mark("✕", "held", "bad")
    if not model.configured:
        return Mark("!", "key or setting missing", "warn")
    if model.lifecycle in ("retired", "retires soon"):
        return Mark("!", model.lifecycle, "warn")
    return Mark("✓", "ready", "good")
