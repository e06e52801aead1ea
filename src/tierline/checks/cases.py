"""Whether a case's job ended as the case expects."""

import json
from collections.abc import Mapping

from tierline.base.json_text import JSON, canonical_json
from tierline.checks.rules import RuleBroken, rule
from tierline.checks.work import TooMuch
from tierline.features.cases import Case

SHOWN = 200  # characters of a value in a message


def case_fault(case: Case, job: Mapping[str, JSON]) -> str | None:
    """What is wrong with how a case's job ended; None if it is as expected.

    `job` is the job as callers see it. A job that ended without a check's decision is always wrong.
    """
    error = job["error"] or {}
    checked = job["unverified"] or error.get("code") == "checks_failed"
    if job["status"] != "completed" and not checked:
        detail = f": {error['message']}" if error.get("message") else ""
        return f"it ended as {error.get('code') or job['status']}{detail}"
    if case.kind == "unserved":
        if checked:
            return None
        return f"{_short(job['output'])} was served, but the case expects that no answer is served"
    if checked:
        return f"nothing was served: {error.get('message') or 'the answer failed a check'}"
    if case.kind == "equal":
        if canonical_json(job["output"]) == canonical_json(case.expected):
            return None
        return f"{_short(job['output'])} is not {_short(case.expected)}"
    try:
        holds = rule(case.rule).holds(case.input, job["output"])
    except (RuleBroken, TooMuch) as broken:
        return broken.message
    if holds:
        return None
    return f"{_short(job['output'])}: {case.says or f'this does not hold: {case.rule}'}"


def _short(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
