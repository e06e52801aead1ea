"""Checks an answer: is it JSON, does it fit the schema, do the rules hold, are values in the input.

Pure: no model is asked here. `labels` and `agreement` compute a model's confidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tierline.base.json_text import JSON, NotJson
from tierline.checks.grounding import Ground, values_at
from tierline.checks.json_repair import read_answer
from tierline.checks.listed import not_matching, not_one_of
from tierline.checks.rules import RuleBroken, rule
from tierline.checks.schema import Fault, Schema, faults_text, schema_check
from tierline.checks.work import NotChecked, TooMuch, Work
from tierline.features.model import Feature
from tierline.features.task import Check, Task
from tierline.rules.verdicts import Verdict

__all__ = [
    "NO_CONTEXT",
    "CheckContext",
    "Checked",
    "NotChecked",
    "RuleBroken",
    "TooMuch",
    "check",
    "input_faults",
    "marks",
]


@dataclass(frozen=True)
class Checked:
    """The result of an answer's checks."""

    verdict: Verdict  # passed, malformed, schema, rule, ungrounded or unchecked
    reason: str | None  # why it failed, for the next tier and the caller; None if passed
    output: JSON  # the parsed value; None if the answer is malformed
    repaired: bool  # text around the value was cut away
    failures: tuple[str, ...]  # each fault separately


CustomCheck = Callable[[str, JSON, JSON], str | None]
"""From a check's name, the input and the output to what is wrong; None if it passed. Raises
NotChecked if that cannot be found out, RuleBroken if there is no check of that name."""


@dataclass(frozen=True)
class CheckContext:
    """What checks need to know of the job."""

    created_at: datetime | None = None  # when it was submitted; see `Ground`
    custom: CustomCheck | None = None  # makes the operator's own checks; None: they are not made


NO_CONTEXT = CheckContext()


def check(task: Task, input: JSON, text: str, context: CheckContext = NO_CONTEXT) -> Checked:
    """Check a model's text. Raises RuleBroken if a rule errors, which is the feature's fault."""
    try:
        output, repaired = _read(task, text)
    except NotJson as error:
        return Checked(Verdict.MALFORMED, error.message, None, False, (error.message,))
    work = Work()
    try:
        faults = schema_check(task.output_schema).faults_within(output, work)
    except TooMuch as much:
        return Checked(Verdict.UNCHECKED, much.message, output, repaired, (much.message,))
    if faults:
        failures = tuple(str(fault) for fault in faults)
        return Checked(Verdict.SCHEMA, faults_text(faults), output, repaired, failures)
    failed: list[tuple[Verdict, str]] = []
    checking = _Checking(input, output, work, context)
    for check in task.checks:
        if check.kind == "custom" and failed:
            continue  # it takes a process or a request, and would change nothing
        try:
            failed += checking.failures(check)
        except NotChecked as why:
            failed.append((Verdict.UNCHECKED, why.message))
    if not failed:
        return Checked(Verdict.PASSED, None, output, repaired, ())
    failed.sort(key=lambda one: one[0] is Verdict.UNCHECKED)  # faults that are certain come first
    failures = tuple(dict.fromkeys(message for _, message in failed))
    reason = faults_text([Fault((), message) for message in failures])
    return Checked(failed[0][0], reason, output, repaired, failures)


def marks(
    task: Task, input: JSON, text: str, context: CheckContext = NO_CONTEXT
) -> list[tuple[str, str | None]]:
    """Each check of a task by name, with what is wrong; None if it passed.

    For people who inspect one answer; `check` gives the verdict. Like `check` it stops at an answer
    that does not fit the schema. Raises RuleBroken if a rule errors.
    """
    form = "is text" if task.plain_text else "is JSON"
    try:
        output, repaired = _read(task, text)
    except NotJson as error:
        return [(form, error.message)]
    results: list[tuple[str, str | None]] = [
        (f"{form}, after a repair" if repaired else form, None)
    ]
    work = Work()
    try:
        faults = schema_check(task.output_schema).faults_within(output, work)
    except TooMuch as much:
        return [*results, ("fits the schema", much.message)]
    results.append(("fits the schema", faults_text(faults) if faults else None))
    if faults:
        return results
    checking = _Checking(input, output, work, context)
    for check in task.checks:
        try:
            failures = [message for _, message in checking.failures(check)]
            results.append((check.description, "; ".join(failures) or None))
        except NotChecked as why:
            results.append((check.description, why.message))
    return results


class _Checking:
    """The checks of one answer. The input is prepared for grounding once."""

    def __init__(self, input: JSON, output: JSON, work: Work, context: CheckContext) -> None:
        self._input, self._output = input, output
        self._work, self._context = work, context
        self._ground: Ground | None = None

    def failures(self, check: Check) -> list[tuple[Verdict, str]]:
        """What is wrong; empty if the check passed. Raises NotChecked and RuleBroken."""
        if check.kind == "rule":
            if rule(check.rule).holds(self._input, self._output):
                return []
            return [(Verdict.RULE, check.says or f"this does not hold: {check.rule}")]
        if check.kind == "grounded":
            self._ground = self._ground or Ground(self._input, self._work, self._context.created_at)
            missing = _ungrounded(check, self._ground, self._output)
            return [(Verdict.UNGROUNDED, _grounding_message(check, missing))] if missing else []
        if check.kind == "custom":
            if self._context.custom is None:
                raise NotChecked(f"the check {check.custom} is made by workers only")
            wrong = self._context.custom(check.custom, self._input, self._output)
            return [] if wrong is None else [(Verdict.RULE, check.says or wrong)]
        wrongs = (
            not_one_of(check.allowed, self._output, self._work)
            if check.kind == "one_of"
            else not_matching(check.patterns, self._output, self._work)
        )
        if wrongs and check.says:
            return [(Verdict.RULE, f"{check.says} ({'; '.join(wrongs)})")]
        return [(Verdict.RULE, wrong) for wrong in wrongs]


def input_faults(feature: Feature, input: JSON) -> list[Fault]:
    """Why a job's input does not fit the feature; paths are paths in the input."""
    return schema_check(feature.input_schema).faults(input)


def _read(task: Task, text: str) -> tuple[JSON, bool]:
    """The answer's value, and whether it was repaired. Raises NotJson."""
    if task.plain_text:
        return _read_plain(text), False
    try:
        read = read_answer(text)
    except NotJson:
        bare = _bare_label(task.output_schema, text)
        if bare is None:
            raise
        return bare, True
    return read.value, read.repaired


def _read_plain(text: str) -> str:
    answer = text.strip()
    if not answer:
        raise NotJson("the answer is empty")
    if "\x00" in answer or any("\ud800" <= character <= "\udfff" for character in answer):
        raise NotJson("the answer contains characters that cannot be stored")
    return answer


def _bare_label(schema: Schema, text: str) -> str | None:
    """The label if the text is a label of a string enum without quotes, else None."""
    options = schema.get("enum")
    label = text.strip()
    return label if isinstance(options, list) and label in options else None


def _ungrounded(check: Check, ground: Ground, output: JSON) -> list[str]:
    return [
        field
        for field in check.fields
        if not all(ground.holds(value) for value in values_at(output, field))
    ]


def _grounding_message(check: Check, missing: list[str]) -> str:
    what = f"{', '.join(missing)}: not found in the input; take the value from the input"
    return f"{check.says} ({what})" if check.says else what
