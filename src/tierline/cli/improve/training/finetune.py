"""`tierline finetune`: fine-tunes a model on an exported dataset, as a candidate for a tier."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.base.errors import Forbidden, TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Json, command_group

if TYPE_CHECKING:
    from tierline.tuning.openai import Job, Tuning

app = command_group("Fine-tune a model on an exported dataset, at its provider.")

STATE = "finetune.json"  # in the folder: uploads and the job, so that a repeated command continues
EPOCHS = 3

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder from 'dataset export'.")]
Rate = Annotated[
    str | None,
    typer.Option(metavar="USD", help="The provider's price for a million trained tokens."),
]


@app.command()
def start(
    folder: Folder,
    model: Annotated[str, typer.Option(metavar="MODEL", help="The base model: openai:gpt-…")],
    epochs: Annotated[int, typer.Option(min=1, max=50)] = EPOCHS,
    suffix: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of the tuned model's name.")
    ] = None,
    usd_per_mtok: Rate = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start without asking, although it costs money.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the expected cost, upload the files and start. Test rows are not uploaded.

    After an interruption the same command continues; uploaded files are not sent again.
    """
    from tierline.cli.shared.amounts import above_zero
    from tierline.cli.shared.output import line, note, print_json
    from tierline.tuning.cost import estimate

    provider, _, base = model.partition(":")
    if provider != "openai" or not base:
        raise UsageError(
            f"--model is {model!r}: it must be openai:MODEL. Mistral's API for fine-tuning is "
            "deprecated; for the other export formats use the provider's console or a trainer"
        )
    card = _card(folder)
    state = _state(folder)
    if state.get("job"):
        raise UsageError(f"{folder} was already started: see 'tierline finetune status {folder}'")
    rate = None if usd_per_mtok is None else above_zero("--usd-per-mtok", usd_per_mtok)
    training = folder / "train.jsonl"
    characters = len(training.read_text(encoding="utf-8"))
    expected = estimate(characters, epochs, rate)
    tokens = f"about {expected.tokens:,} tokens in {epochs} epochs"
    price = (
        "an unknown price (give --usd-per-mtok)"
        if expected.usd is None
        else f"about ${expected.usd:,.2f}"
    )
    note(f"{card['files']['train.jsonl']['examples']:,} examples, {tokens}, at {price}")
    _confirm_cost(yes=yes)
    with _tuning() as tuning:
        validation = _upload(tuning, folder, state, "validation.jsonl")
        job = tuning.start(
            base, _uploaded(tuning, folder, state, training), validation, epochs, suffix
        )
    state |= {"job": job.id, "model": model, "epochs": epochs}
    state["usd_per_mtok"] = None if rate is None else str(rate)
    _keep(folder, state)
    if as_json:
        print_json(state)
        return
    line(f"job {job.id} is {job.status}: see 'tierline finetune status {folder}'")


@app.command()
def status(
    folder: Folder,
    saves: Annotated[
        str | None,
        typer.Option(
            "--saves-usd-per-day",
            metavar="USD",
            help="The savings per day, to calculate the payback time; see 'economics'.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the job's status, its cost and payback time, and a tier for the tuned model."""
    from tierline.cli.shared.amounts import above_zero
    from tierline.cli.shared.output import line, print_json, print_pairs
    from tierline.tuning.cost import cost, payback_days

    state = _state(folder)
    if not state.get("job"):
        raise UsageError(
            f"{folder} was not started: run 'tierline finetune start {folder} --model …'"
        )
    saved = None if saves is None else above_zero("--saves-usd-per-day", saves)
    with _tuning() as tuning:
        job = tuning.job(state["job"])
    rate = None if state["usd_per_mtok"] is None else Decimal(state["usd_per_mtok"])
    spent = None if job.trained_tokens is None else cost(job.trained_tokens, rate)
    days = None if spent is None or saved is None else payback_days(spent, saved)
    if as_json:
        print_json(
            {
                **vars(job),
                "cost_usd": None if spent is None else str(spent),
                "payback_days": None if days is None else float(days),
            }
        )
    else:
        print_pairs(
            [
                ("job", f"{job.id} on {state['model']}, {state['epochs']} epochs"),
                ("status", job.status + (f": {job.error}" if job.error else "")),
                ("trained on", f"{job.trained_tokens:,} tokens" if job.trained_tokens else None),
                ("cost", f"${spent:,.2f}" if spent is not None else "unknown"),
                ("pays back", f"in {days:,.1f} days" if days is not None else None),
            ]
        )
        _show_tier(job, line)
    if job.status in ("failed", "cancelled"):
        raise typer.Exit(1)


def _show_tier(job: "Job", line: Any) -> None:
    if job.model is None:
        return
    line()
    line("Add this tier to the feature file, and evaluate it before you promote it:")
    line(f'  - {{name: tuned, models: ["openai:{job.model}"], prices: {{"openai:{job.model}":')
    line("      {input_usd_per_mtok: …, output_usd_per_mtok: …}}}")


def _card(folder: Path) -> JSON:
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        form = card["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder} is not an export: create one with 'tierline dataset export'"
        ) from None
    if form != "openai":
        raise UsageError(f"{folder} has the format {form}: export it with --format openai")
    if "train.jsonl" not in card["files"]:
        raise UsageError(f"{folder} has no examples to train on")
    return card


def _state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"uploaded": {}}
    except (OSError, ValueError):
        raise UsageError(f"{folder / STATE} cannot be read: remove it to start again") from None
    return state


def _keep(folder: Path, state: dict[str, Any]) -> None:
    """Write the state atomically."""
    beside = folder / f".{STATE}"
    beside.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    beside.replace(folder / STATE)


def _upload(tuning: "Tuning", folder: Path, state: dict[str, Any], name: str) -> str | None:
    path = folder / name
    return _uploaded(tuning, folder, state, path) if path.exists() else None


def _uploaded(tuning: "Tuning", folder: Path, state: dict[str, Any], path: Path) -> str:
    """The file's id at the provider. An earlier run may have uploaded it already."""
    file_id = state["uploaded"].get(path.name)
    if file_id is None:
        file_id = state["uploaded"][path.name] = tuning.upload(path)
        _keep(folder, state)
    return str(file_id)


def _tuning() -> "Tuning":
    from tierline.base.settings import settings
    from tierline.tuning.openai import Tuning

    provider_settings = settings()
    if provider_settings.openai_api_key is None:
        raise Forbidden("OPENAI_API_KEY is not set: fine-tuning runs in your own OpenAI account")
    return Tuning(
        provider_settings.openai_base_url,
        provider_settings.openai_api_key.get_secret_value(),
        provider_settings.openai_org_id,
        provider_settings.openai_project_id,
    )


def _confirm_cost(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this costs money: give --yes to start without a terminal")
    if not typer.confirm("Start?", err=True):
        raise TierlineError("nothing was started")
