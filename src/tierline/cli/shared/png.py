"""Pictures as PNG files, with matplotlib if it is installed."""

import io
from pathlib import Path
from typing import Any

from tierline.base.errors import TierlineError, UsageError


def new_figure(width: float = 8, height: float = 5) -> Any:
    """An empty figure; sizes are inches at 120 dots. Raises TierlineError without the extra."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TierlineError("a PNG needs the extra `routing`: run 'make setup'") from None
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def write_png(figure: Any, path: Path) -> None:
    """Raises UsageError if it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawing = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(drawing, format="png")
    try:
        path.write_bytes(drawing.getvalue())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
