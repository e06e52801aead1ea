"""What people's label of a job says about one tier's answer to it."""

from typing import Protocol

from tierline.base.json_text import JSON
from tierline.features.comparison import Comparison


class Labelled(Protocol):
    """An answer with its job's last feedback."""

    @property
    def output(self) -> JSON: ...

    @property
    def expected(self) -> JSON: ...

    @property
    def has_expected(self) -> bool: ...

    @property
    def correct(self) -> bool | None:
        """Whether `served_output` is right; None: not given."""

    @property
    def served_output(self) -> JSON:
        """What the caller got."""

    @property
    def has_served_output(self) -> bool: ...


def is_wrong(how: Comparison, row: Labelled) -> bool | None:
    """Whether the tier's answer is wrong according to people; None: their feedback does not say."""
    if row.has_expected:
        return not how.same(row.output, row.expected)
    if row.correct is None or not row.has_served_output:
        return None
    if how.same(row.output, row.served_output):
        return not row.correct
    # The tier's answer is not the served one. If the served one is right, the tier's is wrong,
    # except in free text, where both may be right. If the served one is wrong, it is unknown.
    return True if row.correct and how.kind != "judge" else None
