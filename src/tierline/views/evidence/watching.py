"""The JSON of what watches a feature's promise."""

from pydantic import Field

from tierline.views.view import View


class PromiseWatch(View):
    """What could notice that a feature's promise no longer holds."""

    evidence: str = Field(description="what promises: a calibration, or a promoted evaluation")
    unwatched: bool = Field(description="neither drift, nor shadows, nor feedback look at it")
    by: list[str] = Field(description="drift, shadow, feedback: those that look")
    labels: int = Field(description="feedback on jobs since the promise; 20 are counted at most")
    next: str | None = Field(description="the command that changes it; null: it is watched")
    why: str | None = Field(description="the purpose of that command")
