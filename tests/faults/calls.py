"""The calls of a run, by row and by ledger: each once, each at its own price."""

from collections import Counter
from decimal import Decimal

from tests.faults.features import cost_of
from tests.faults.snapshot import AttemptRow, Balance, CallRow, JobRow, Snapshot
from tierline.rules.verdicts import Verdict

CUT = frozenset({Verdict.WORKER_LOST, Verdict.SUPERSEDED})
"""Verdicts of attempts that their worker did not end: their calls may be made again."""


def balance_calls(found: Balance, snapshot: Snapshot) -> None:
    """Every call of the ledger has its row, every cost is the ledger's, and sums add up."""
    asked: dict[str, set[int]] = {}
    for told in snapshot.ledger.values():
        asked.setdefault(told.note, set()).add(told.id)
    seen: Counter[int] = Counter()
    spare = 0  # rows whose answer never came, beyond those that their own job's calls need
    for job in snapshot.jobs:
        rows = [(attempt, call) for attempt in job.attempts for call in attempt.calls]
        answered = {number for _, call in rows if (number := call.ledger_id) is not None}
        seen.update(number for _, call in rows if (number := call.ledger_id) is not None)
        for attempt, call in rows:
            _call(found, snapshot, job, attempt, call)
        _sums(found, job)
        # Of these the product never saw an answer: it was killed in the call, or told to come later
        unanswered = asked.pop(job.mark, set()) - answered
        without_answer = sum(call.ledger_id is None for _, call in rows)
        if len(unanswered) > without_answer:
            missing = len(unanswered) - without_answer
            found.problems.append(f"{job.mark}: {missing} calls of the ledger have no row")
        spare += max(0, without_answer - len(unanswered))
        found.calls_again += sum(snapshot.ledger[one].status in {None, 200} for one in unanswered)
    for number, times in seen.items():
        if times > 1:
            found.repeat(f"call {number} of the ledger has {times} rows")
    _without_mark(found, len(asked.pop("", set()) - seen.keys()), spare)
    for mark in asked:
        found.problems.append(f"calls were made for {mark}, which is no job")


def _call(
    found: Balance, snapshot: Snapshot, job: JobRow, attempt: AttemptRow, call: CallRow
) -> None:
    """The row is of the job's own call, at the price of its tokens, and is shown so."""
    if call.shown_usd != call.cost_usd:
        found.problems.append(f"{job.mark}: a call of {call.cost_usd} USD is not shown so")
    if call.cost_usd is None:
        _unknown_cost(found, snapshot, job, attempt, call)
    number = call.ledger_id
    if number is None:
        return
    found.calls_again += attempt.verdict in CUT
    told = snapshot.ledger.get(number)
    if told is None or told.note not in {"", job.mark}:
        found.problems.append(f"{job.mark} has call {number}, which is not its own")
    elif call.cost_usd is not None and told.usage is not None:
        found.apart_usd += abs(call.cost_usd - cost_of(told.model, told.usage))


def _unknown_cost(
    found: Balance, snapshot: Snapshot, job: JobRow, attempt: AttemptRow, call: CallRow
) -> None:
    """A cost may be unknown only where a worker was killed in the call."""
    found.unknown_cost_calls += 1
    where = f"{job.mark}: the cost of call {call.number} of attempt {attempt.number}"
    if attempt.verdict not in CUT:
        found.problems.append(f"{where}, which ended as {attempt.verdict}, is unknown")
    elif not snapshot.workers_lost:
        found.problems.append(f"{where} is unknown though no worker was lost")


def _sums(found: Balance, job: JobRow) -> None:
    """What attempts and jobs are shown to cost is what their calls cost."""
    of_job = Decimal(0)
    for attempt in job.attempts:
        of_attempt = sum((call.cost_usd or Decimal(0) for call in attempt.calls), Decimal(0))
        found.apart_usd += abs(of_attempt - attempt.shown_usd)
        of_job += of_attempt
    found.apart_usd += abs(of_job - job.shown_usd)
    unknown = sum(call.cost_usd is None for each in job.attempts for call in each.calls)
    if unknown != job.shown_unknown:
        found.problems.append(
            f"{job.mark}: {unknown} calls of unknown cost, {job.shown_unknown} shown"
        )


def _without_mark(found: Balance, unanswered: int, spare: int) -> None:
    """Label scores of an empty input name no job; some row without an answer is theirs."""
    if unanswered > spare:
        found.problems.append(f"{unanswered} calls without a mark have {spare} rows at most")
