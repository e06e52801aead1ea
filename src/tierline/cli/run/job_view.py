"""Shows one job to a person: its fields, its attempts and their calls."""

import json

from tierline.base.json_text import JSON
from tierline.cli.shared.output import line, one_line, print_json, print_pairs, seconds, usd, when

NOT_READABLE = "not shown: this needs a key that may read (scope 'read')"


def show_job(job: JSON, as_json: bool, attempts: JSON | None = None) -> None:
    if as_json:
        print_json(job if attempts is None else job | {"attempts": attempts})
        return
    label = job.get("status_label")
    error = job.get("error")
    unknown = job.get("unknown_cost_calls")
    cost = cost_of(job) + (f", and {unknown} calls of unknown cost" if unknown else "")
    print_pairs(
        [
            ("id", job["id"]),
            ("feature", f"{job['feature']} (version {job['feature_version']})"),
            ("status", f"{job['status']}: {label}" if label else job["status"]),
            ("waits for", _waiting_for(job)),
            ("tier", job["tier"]),
            ("model", job.get("model")),
            ("escalated", job.get("escalation_reason")),
            ("error", _error(error)),
            ("unverified", "the answer failed a check" if job.get("unverified") else None),
            ("held back", job.get("blocked_reason")),
            ("output", _as_text(job["output"]) if readable(job) else NOT_READABLE),
            ("removed", _removed(job)),
            ("cost", cost),
            ("tokens", _tokens(job.get("usage"))),
            ("submitted", when(job["created_at"]) or None),
            ("ended", when(job.get("completed_at")) or None),
        ]
    )
    if attempts is not None:
        line()
        _show_attempts(attempts)


def readable(job: JSON) -> bool:
    """Whether the key may read the job. A submit-only key does not get its content."""
    return "output" in job


def _waiting_for(job: JSON) -> str | None:
    waits = job.get("waiting_for")
    if waits is None:
        return None
    until = when(waits.get("until"))
    return str(waits["message"]) + (f", at {until}" if until else "")


def _error(error: JSON | None) -> str | None:
    """The code and the message. Jobs that failed before release 0.3 have the code in both."""
    if error is None:
        return None
    code, message = str(error.get("code") or ""), str(error.get("message") or "")
    return ": ".join(part for part in (code, message.removeprefix(f"{code}: ")) if part)


def _show_attempts(attempts: JSON) -> None:
    for attempt in attempts:
        verdict = attempt.get("verdict") or "running"
        cost = usd(attempt.get("cost_usd"))
        time_s = seconds(attempt.get("latency_s"))
        words = ", ".join(part for part in (attempt.get("model"), time_s, cost) if part)
        line(f"attempt {attempt['number']} on {attempt['tier']}: {verdict} ({words})")
        if attempt.get("reason"):
            line(f"    because: {one_line(attempt['reason'])}")
        for call in attempt.get("calls") or []:
            tokens = _tokens(call.get("usage")) or "tokens unknown"
            model = call.get("asked") or call["model"]
            line(
                f"    {call['purpose']}: {model}, {tokens}, {usd(call.get('cost_usd'))}"
                + (f", {seconds(call['latency_s'])}" if call.get("latency_s") else "")
            )


def _tokens(usage: JSON | None) -> str | None:
    if not usage or usage.get("input_tokens") is None:
        return None
    text = f"{usage['input_tokens']:,} in"
    if usage.get("cached_input_tokens"):
        text += f" + {usage['cached_input_tokens']:,} cached"
    if usage.get("output_tokens") is not None:
        text += f", {usage['output_tokens']:,} out"
    if usage.get("reasoning_tokens"):
        text += f" + {usage['reasoning_tokens']:,} reasoning"
    return text


def _removed(job: JSON) -> str | None:
    """Which content was removed, and when."""
    names = ("input", "output")
    since = [(name, job.get(f"{name}_removed_at")) for name in names]
    return ", ".join(f"{name} {when(at)}" for name, at in since if at) or None


def _as_text(output: JSON) -> str | None:
    if output is None or isinstance(output, str):
        return output
    return json.dumps(output, ensure_ascii=False)


def cost_of(job: JSON) -> str:
    """A job's cost so far; no cost yet is different from an unknown cost."""
    if job["cost_usd"] is None and not job.get("unknown_cost_calls"):
        return "none yet"
    return usd(job["cost_usd"])


def remark(job: JSON) -> str:
    if job.get("error"):
        return str(job["error"]["message"])
    waits = job.get("waiting_for")
    if waits is not None and waits["kind"] in ("model", "budget", "retry", "paused"):
        return str(waits["message"])
    return job.get("status_label") or job.get("escalation_reason") or ""
