"""What `make faults` prints: a row a fault, and what is wrong in words."""

from collections.abc import Iterable
from decimal import Decimal

from tests.faults.rounds import Outcome

HEADS = (
    "times",
    "jobs",
    "lost",
    "repeated",
    "USD apart",
    "calls again",
    "longest recovery",
    "p95 beside/alone",
)


def table(outcomes: Iterable[Outcome]) -> str:
    """A row for each fault, in the order in which it first happened, and their sum."""
    rounds = list(outcomes)
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in rounds:
        by_fault.setdefault(" + ".join(outcome.faults), []).append(outcome)
    rows = [(name, *_cells(own)) for name, own in by_fault.items()]
    rows.append(("all", *_cells(rounds)))
    width = max(len(name) for name, *_ in rows)
    widths = [len(head) for head in HEADS]
    lines = [f"{'fault':{width}}  " + "  ".join(HEADS)]
    for name, *cells in rows:
        shown = "  ".join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
        lines.append(f"{name:{width}}  {shown}")
    return "\n".join(lines)


def _cells(outcomes: list[Outcome]) -> tuple[str, ...]:
    books = [outcome.balance for outcome in outcomes]
    recovery_s = [one.recovery_s for one in outcomes if one.recovery_s is not None]
    ratios = [one.beside.ratio for one in outcomes if one.beside is not None]
    return (
        str(len(outcomes)),
        str(sum(one.jobs for one in books)),
        str(sum(one.lost for one in books)),
        str(sum(one.repeated for one in books)),
        f"{sum((one.apart_usd for one in books), Decimal(0)):.2f}",
        str(sum(one.calls_again for one in books)),
        f"{max(recovery_s):.1f} s" if recovery_s else "",
        f"{max(ratios):.2f}" if ratios else "",
    )
