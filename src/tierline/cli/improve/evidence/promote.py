"""`tierline promote` and `tierline demote`: let a small tier answer first, or stop that."""

import difflib
from typing import Annotated

import typer

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json


def promote(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    canary: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Only this share of the traffic, such as 0.1; by default all."
        ),
    ] = None,
    evaluation: Annotated[
        int | None,
        typer.Option(
            metavar="ID", min=1, help="The evaluation to use; by default the newest valid one."
        ),
    ] = None,
    keep_confidence: Annotated[
        bool,
        typer.Option(
            "--keep-confidence",
            help="Low confidence still escalates, even at 95% of the last tier's quality.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    investigate: Annotated[
        bool, typer.Option("--investigate", help="Show what to check if the quality is too low.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the promotions.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let the first tier answer first, if an evaluation shows that it is good enough.

    The lower bound of its quality, relative to the last tier, decides. From 90% on, the tier ships:
    it answers first, with escalation. From 95% on, it becomes the default: only failed checks
    escalate.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    if canary is not None and not 0.0001 <= canary < 1.0:
        raise UsageError(f"--canary is {canary:g}: it must be at least 0.0001 and below 1")
    with connect(home) as api:
        if list_:
            _list(api.get(f"/v1/features/{feature}/promotions"), as_json=as_json)
            return
        if investigate:
            from tierline.cli.improve.evidence.investigate import investigate as look

            look(api, feature, evaluation, as_json=as_json)
            return
        before = api.get(f"/v1/features/{feature}")["source"]
        request = {
            "share": canary or 1.0,
            "evaluation": evaluation,
            "keep_confidence": keep_confidence,
            "dry_run": dry_run,
        }
        promotion = api.post(f"/v1/features/{feature}/promotions", json=request)
    if as_json:
        print_json(promotion)
        return
    _show(promotion, before)


def demote(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; the reason is recorded.")
    ] = "by hand",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let the last tier answer all jobs again; the other tiers stay in the feature file."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        promotion = api.post(f"/v1/features/{feature}/demote", json={"reason": reason})
    if as_json:
        print_json(promotion)
        return
    line(f"from version {promotion['feature_version']} on, {feature} starts with its last tier")


def _show(promotion: JSON, before: str) -> None:
    from tierline.cli.shared.output import line

    subject = f"{promotion['tier']} of {promotion['feature']}"
    share = "all jobs" if promotion["share"] == 1.0 else f"{promotion['share']:.2%} of the jobs"
    effect = (
        "would answer first"
        if promotion["feature_version"] is None
        else f"answers first from version {promotion['feature_version']} on"
    )
    line(
        f"{subject} {effect}, for {share}: {promotion['rung']} by evaluation "
        f"{promotion['evaluation']}."
    )
    line(f"In that evaluation {promotion['reason']}.")
    if promotion["only_checks_escalate"]:
        line("Only failed checks escalate.")
    if not promotion["watched"]:
        line(
            "Nothing monitors this promotion: add 'shadow: {share: 0.02}' to the feature, and the "
            "tier is demoted automatically if its quality falls."
        )
    line()
    line("The change to the feature file (update your own copy):")
    lines = difflib.unified_diff(
        before.splitlines(), promotion["source"].splitlines(), "before", "after", lineterm="", n=1
    )
    for one in list(lines)[2:]:
        line(f"  {one}")


def _list(promotions: JSON, *, as_json: bool) -> None:
    from tierline.cli.shared.output import Col, print_json, print_table, when

    if as_json:
        print_json(promotions)
        return
    print_table(
        [
            *(Col("ID", "right"), Col("MADE", wrap=False), Col("TIER"), Col("RUNG")),
            *(Col("SHARE", "right"), Col("EVALUATION", "right"), Col("DIFFER", "right")),
            Col("ENDED"),
        ],
        [
            (
                *(one["id"], when(one["created_at"]), one["tier"], one["rung"]),
                *(f"{one['share']:.2%}", one["evaluation"]),
                f"{one['differing']} of {one['compared']}, {one['most_differing']:.1%} may"
                if one["compared"] is not None
                else "",
                f"{when(one['ended_at'])}: {one['ended_reason']}" if one["ended_at"] else "",
            )
            for one in promotions["data"]
        ],
        empty="no promotion yet",
    )
