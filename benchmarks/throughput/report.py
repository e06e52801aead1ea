"""The figures of all windows: rates as ratios to ours, processor time, log, statements, rows."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.figures import Figure, of_rounds
from benchmarks.throughput.sides import BACKFILL, INTERACTIVE
from benchmarks.throughput.window import Window

# The least of our rate / another side's, in the same round.
TARGET = {
    (INTERACTIVE, "plain"): 1.0,
    (INTERACTIVE, "strong"): 0.85,
    (INTERACTIVE, "dramatiq"): 0.85,
    (BACKFILL, "dramatiq"): 1.0,
}
MOST_CPU_MS = {INTERACTIVE: 1.7, BACKFILL: 1.1}
MOST_WAL_BYTES = 3_000.0
MOST_ROW_VERSIONS = 10.0
OURS = (INTERACTIVE, BACKFILL)
BySide = Mapping[str, Sequence[Window]]


def figures(by_side: BySide) -> list[Figure]:
    """Ratios first, then each side by itself.

    Processor time, log and rows have a goal only where the other job systems ran too.
    """
    compared = BACKFILL in by_side
    made = []
    for ours in OURS:
        for other in by_side:
            if ours in by_side and other not in OURS:
                ratios = [
                    mine.jobs_per_s / theirs.jobs_per_s
                    for mine, theirs in zip(by_side[ours], by_side[other], strict=True)
                ]
                kind = " Celery task" if other in ("plain", "strong") else ""
                lane = "throughput" if ours == INTERACTIVE else "throughput of the backfill lane"
                made.append(
                    of_rounds(f"{lane} / {other}{kind}", ratios, "", TARGET.get((ours, other)))
                )
    for side, windows in by_side.items():
        judged = compared and side in OURS

        def each(
            value: Callable[[Window], float], windows: Sequence[Window] = windows
        ) -> list[float]:
            return [value(window) for window in windows]

        made += [
            of_rounds(f"  {side}", each(lambda window: window.jobs_per_s), "jobs/s"),
            of_rounds(f"  {side}, in flight", each(lambda window: window.in_flight), "jobs"),
            of_rounds(
                f"  {side}, processor time of a job",
                each(lambda window: sum(window.cpu_ms.values())),
                "ms",
                MOST_CPU_MS[side] if judged else None,
                at_most=True,
            ),
            *_by_process(windows),
            of_rounds(
                f"  {side}, WAL of a job",
                each(lambda window: window.counted.wal_bytes),
                "bytes",
                MOST_WAL_BYTES if judged else None,
                at_most=True,
            ),
            of_rounds(
                f"  {side}, row versions of a job",
                each(lambda window: window.counted.row_versions),
                "",
                MOST_ROW_VERSIONS if judged else None,
                at_most=True,
            ),
            of_rounds(
                f"  {side}, statements of a job", each(lambda window: window.counted.statements), ""
            ),
            of_rounds(
                f"  {side}, broker commands of a job",
                each(lambda window: window.counted.broker_commands),
                "",
            ),
        ]
    return made


def window_line(name: str, window: Window) -> str:
    """One window as a line of progress."""
    return (
        f"{name:18} {window.jobs_per_s:7.1f} jobs/s with {window.in_flight:.0f} in flight;"
        f" a job: {sum(window.cpu_ms.values()):.2f} ms of processor time,"
        f" {window.counted.wal_bytes:,.0f} bytes of WAL,"
        f" {window.counted.statements:.2f} statements,"
        f" {window.counted.row_versions:.1f} row versions"
    )


def _by_process(windows: Sequence[Window]) -> list[Figure]:
    made = []
    for kind in sorted({kind for window in windows for kind in window.cpu_ms}):
        spent = median(window.cpu_ms.get(kind, 0.0) for window in windows)
        if spent:
            made.append(Figure(f"    {kind}", spent, "ms"))
    return made
