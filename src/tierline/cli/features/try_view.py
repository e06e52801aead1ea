"""The output of `tierline features try`: each call's prompt, answer, checks, and cost."""

from collections.abc import Iterator

from tierline.base.json_text import JSON
from tierline.checks import NO_CONTEXT, CheckContext, RuleBroken, marks
from tierline.cli.shared.output import line, seconds, usd
from tierline.features import Feature
from tierline.features.task import Task

INDENT = "    "


def show_attempts(
    feature: Feature, input: JSON, attempts: JSON, context: CheckContext = NO_CONTEXT
) -> None:
    """`feature`: the job's feature, for its checks; `attempts`: from the API."""
    for attempt in attempts:
        verdict = attempt["verdict"] or "running"
        score = attempt["confidence"]
        confidence = "" if score is None else f" (confidence {score:.3f})"
        line(f"attempt {attempt['number']} on {attempt['tier']}: {verdict}{confidence}")
        if attempt["reason"]:
            line(f"{INDENT}because: {attempt['reason']}")
        traces = iter(attempt["trace"] or ())
        tasks = _tasks(feature, attempt)
        for call in attempt["calls"]:
            _show_call(call)
            if call["error"] is not None or call["settled_at"] is None:
                continue
            trace = next(traces, None)
            task = next(tasks, None)
            if trace is not None:
                _show_trace(trace, task, input, context)
        by_label = any(call["purpose"] == "label_score" for call in attempt["calls"])
        if by_label and attempt["answer"] is not None:
            line()
            _show_answer(attempt["answer"], feature, input, context)
        line()


def _show_call(call: JSON) -> None:
    usage = call["usage"]
    tokens = f"{usage['input_tokens']} tokens in, {usage['output_tokens']} out"
    if usage["input_tokens"] is None:
        tokens = "tokens unknown"
    elif usage.get("cached_input_tokens"):
        tokens = f"{usage['cached_input_tokens']} cached + {tokens}"
    parts = (call["model"], tokens, seconds(call["latency_s"]), usd(call["cost_usd"]))
    line()
    line(f"  call {call['number']}, {call['purpose']}: {', '.join(part for part in parts if part)}")
    if call["error"] is not None:
        line(f"{INDENT}failed: {call['error']}")


def _show_trace(trace: JSON, task: Task | None, input: JSON, context: CheckContext) -> None:
    for message in trace["messages"]:
        _block(message["role"], message["content"])
    if task is not None:  # else a label's score: the answer comes from the tokens' probabilities
        _show_answer(trace["text"], task, input, context)


def _show_answer(text: str, task: Task, input: JSON, context: CheckContext) -> None:
    _block("answer", text)
    line(f"{INDENT}[checks]")
    try:
        for check, fault in marks(task, input, text, context):
            line(f"{INDENT}{check}: {fault or 'passed'}")
    except RuleBroken as broken:
        line(f"{INDENT}{broken.message}")


def _tasks(feature: Feature, attempt: JSON) -> Iterator[Task | None]:
    """The task that each answered call of the attempt was checked by."""
    steps = iter(feature.tier(attempt["tier"]).steps)
    task: Task | None = feature
    for call in attempt["calls"]:
        if call["error"] is not None or call["settled_at"] is None:
            continue
        if call["purpose"] == "step":
            task = next(steps, None)
        elif call["purpose"] == "label_score":
            task = None
        elif call["purpose"] != "reask":
            task = feature
        yield task


def _block(title: str, text: str) -> None:
    line(f"{INDENT}[{title}]")
    for part in text.split("\n"):
        line(f"{INDENT}{part}" if part else "")
