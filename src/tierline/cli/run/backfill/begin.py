"""Chooses the run of a command: one to continue, one recovered from the API, or a new one."""

from itertools import count
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.cli.run.backfill.progress import Progress
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.sources import fingerprint_of, stamp_of
from tierline.cli.run.backfill.state import Batch, RunRequest, RunState


def recovered_or_new(api: RetryingClient, request: RunRequest, progress: Progress) -> RunState:
    """The run whose state file was lost, else a new one. Raises UsageError if OUT belongs to
    something else.
    """
    new = RunState(request, fingerprint_of(Path(request.file)))
    existing = recovered_run(api, new)
    if existing is not None:
        progress.say("the API knows this run: continuing it (use --restart to begin again)")
        return existing
    if Path(request.out).exists():
        raise UsageError(
            f"{request.out} exists and is not from this run: give another path with --out"
        )
    return new


def new_run(api: RetryingClient, request: RunRequest) -> RunState:
    """A new run, although the API may have earlier runs of the same request."""
    source = fingerprint_of(Path(request.file))
    restart = next(n for n in count() if api.batch_of_key(request.key(source.sha256, n, 0)) is None)
    return RunState(request, source, restart)


def refuse_other_run(state: RunState, request: RunRequest) -> None:
    """Raises UsageError if OUT belongs to another run, or FILE has changed."""
    if state.request != request:
        old = state.request
        raise UsageError(
            f"{request.out} belongs to another run: {old.file} with --feature {old.feature}, "
            f"{dict(old.mapping) or 'no --map'}, --id-column {old.id_column or 'not set'}, "
            f"--encoding {old.encoding or 'utf-8'}; "
            "give another --out, or begin again with --restart"
        )
    file = Path(request.file)
    if stamp_of(file) == state.source.stamp:
        return
    source = fingerprint_of(file)
    if source.sha256 != state.source.sha256:
        raise UsageError(
            f"{file} has changed since this run began: restore it to continue, give another "
            "--out, or begin again with --restart (every row is then paid for again)"
        )
    state.source = source


def recovered_run(api: RetryingClient, state: RunState) -> RunState | None:
    """The run whose state file was lost, by the keys of its batches; None if it never began."""
    run = None
    for restart in count():
        first = api.batch_of_key(state.request.key(state.source.sha256, restart, 0))
        if first is None:
            break
        run = RunState(state.request, state.source, restart, [Batch(first["id"])])
    if run is None:
        return None
    for retry in count(1):
        batch = api.batch_of_key(state.request.key(state.source.sha256, run.restart, retry))
        if batch is None:
            return run
        run.batches.append(Batch(batch["id"], batch["metadata"]["covers"]))
    return run
