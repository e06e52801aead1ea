"""A progress bar for work of known size."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """Progress on a terminal's stderr; without a terminal nothing is shown."""

    def __init__(self, total: int, title: str) -> None:
        self._total = total
        self._title = title
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            self._progress = Progress(console=console, transient=True)
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def turn_to(self, title: str, done: int, total: int) -> None:
        """Show another part of the work; a total of 0 is not known."""
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task,
                description=f"{self._title}: {title}",
                completed=done,
                total=total or None,
            )

    def show(self, done: int, failed: int = 0) -> None:
        if self._progress is not None and self._task is not None:
            title = f"{self._title}: {failed} failed" if failed else self._title
            self._progress.update(self._task, completed=done, description=title)
