"""Checking an answer: is it JSON, does it fit the schema, do the rules hold, is it in the input.

Pure: no model is asked here. How sure a model was is weighed in `labels` and `agreement`.
"""

from dataclasses import dataclass

from tierline.base.json_text import JSON, NotJson
from tierline.checks.grounding import Ground, values_at
from tierline.checks.json_repair import read_answer
from tierline.checks.rules import RuleBroken, rule
from tierline.checks.schema import Fault, Schema, schema_check, told
from tierline.checks.work import TooMuch, Work
from tierline.features.model import Feature
from tierline.features.task import Check, Task
from tierline.rules.verdicts import Verdict

__all__ = ["Checked", "RuleBroken", "TooMuch", "check", "input_faults", "marks"]


@dataclass(frozen=True)
class Checked:
    """How an answer fared against its feature's checks."""

    verdict: Verdict  # passed, malformed, schema, rule, ungrounded or unchecked
    reason: str | None  # what was wrong, told to the next tier and the caller; None when passed
    output: JSON  # the value that was read; None when the answer is malformed
    repaired: bool  # text around the value had to be cut away
    failures: tuple[str, ...]  # each thing wrong by itself


def check(task: Task, input: JSON, text: str) -> Checked:
    """Check a model's text. Raises RuleBroken when a rule errors: the feature's fault."""
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
        return Checked(Verdict.SCHEMA, told(faults), output, repaired, failures)
    failed: list[tuple[Verdict, str]] = []
    ground: Ground | None = None
    for check in task.checks:
        try:
            if check.kind == "rule":
                if not rule(check.rule).holds(input, output):
                    failed.append((Verdict.RULE, check.says or f"this does not hold: {check.rule}"))
                continue
            ground = ground or Ground(input, work)
            if missing := _ungrounded(check, ground, output):
                failed.append((Verdict.UNGROUNDED, _said(check, missing)))
        except TooMuch as much:
            failed.append((Verdict.UNCHECKED, much.message))
    if not failed:
        return Checked(Verdict.PASSED, None, output, repaired, ())
    failed.sort(key=lambda one: one[0] is Verdict.UNCHECKED)  # what is known to be wrong goes first
    failures = tuple(dict.fromkeys(message for _, message in failed))
    reason = told([Fault((), message) for message in failures])
    return Checked(failed[0][0], reason, output, repaired, failures)


def marks(task: Task, input: JSON, text: str) -> list[tuple[str, str | None]]:
    """Each check of a task by itself: what it is, and what is wrong; None where nothing is.

    For people who look at one answer; the verdict is `judge`'s. Stops where it does: a check is
    not looked at in an answer that does not fit the schema. Raises RuleBroken when a rule errors.
    """
    form = "is text" if task.plain_text else "is JSON"
    try:
        output, repaired = _read(task, text)
    except NotJson as error:
        return [(form, error.message)]
    found: list[tuple[str, str | None]] = [(f"{form}, after a repair" if repaired else form, None)]
    work = Work()
    try:
        faults = schema_check(task.output_schema).faults_within(output, work)
    except TooMuch as much:
        return [*found, ("fits the schema", much.message)]
    found.append(("fits the schema", told(faults) if faults else None))
    if faults:
        return found
    ground: Ground | None = None
    for check in task.checks:
        grounded = check.kind == "grounded"
        name = f"grounded: {', '.join(check.fields)}" if grounded else check.rule
        try:
            if grounded:
                ground = ground or Ground(input, work)
                missing = _ungrounded(check, ground, output)
                found.append((name, _said(check, missing) if missing else None))
            else:
                broken = not rule(check.rule).holds(input, output)
                found.append((name, (check.says or "does not hold") if broken else None))
        except TooMuch as much:
            found.append((name, much.message))
    return found


def input_faults(feature: Feature, input: JSON) -> list[Fault]:
    """What keeps a job's input from fitting the feature; paths lead into the input."""
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
    found = text.strip()
    if not found:
        raise NotJson("the answer is empty")
    if "\x00" in found or any("\ud800" <= character <= "\udfff" for character in found):
        raise NotJson("the answer holds characters that cannot be stored")
    return found


def _bare_label(schema: Schema, text: str) -> str | None:
    """A label of a string enum that was written without its quotes."""
    options = schema.get("enum")
    found = text.strip()
    return found if isinstance(options, list) and found in options else None


def _ungrounded(check: Check, ground: Ground, output: JSON) -> list[str]:
    return [
        field
        for field in check.fields
        if not all(ground.holds(value) for value in values_at(output, field))
    ]


def _said(check: Check, missing: list[str]) -> str:
    what = f"{', '.join(missing)}: not found in the input; take the value from the input"
    return f"{check.says} ({what})" if check.says else what
