"""`tierline eval`: a feature's tiers on the same examples of a dataset, compared pair by pair."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Home, Json
from tierline.errors import TierlineError, UsageError
from tierline.json_text import JSON, canonical_json

if TYPE_CHECKING:
    from tierline.cli.client import Client
    from tierline.evaluation.compare import Compared
    from tierline.evaluation.verdict import Verdict
    from tierline.features import Feature

FEWEST = 10  # examples
SHOWN = 5  # examples on which two tiers differ
HOUR_S = 3_600.0
NOT_REACHED = 1


@dataclass(frozen=True)
class OfTier:
    """One tier's answers to all examples, in their order."""

    name: str
    scores: tuple[float, ...]  # 1: it says what is expected
    outputs: tuple[JSON, ...]
    cost_usd: Decimal  # of the calls whose cost is known
    unknown_cost_calls: int
    latencies_s: tuple[float, ...]  # of the attempts that were served


@dataclass(frozen=True)
class Beside:
    """One tier held against the last one."""

    tier: OfTier
    compared: "Compared"
    verdict: "Verdict"


def evaluate(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    version: Annotated[
        int | None, typer.Option("--dataset", min=1, help="Its version; the newest unless said.")
    ] = None,
    tiers: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Of the feature's; all unless said. Held to the last."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=FEWEST, help="Only so many examples, always the same.")
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Exit 1 unless every tier surely keeps so much: 0.9."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="XML", help="Write JUnit XML there, for CI.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, help="Of one tier's answers together.")
    ] = HOUR_S,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ask each tier the test examples of a dataset, on the queues, and say which is good enough.

    Never asks what stands in a prompt. Costs what its calls cost; needs a key with the scope
    admin, whose account pays.
    """
    from tierline.cli.calibrate import within
    from tierline.cli.client import connect
    from tierline.cli.dataset import find, rows_of
    from tierline.cli.output import print_json
    from tierline.features import Feature

    if fail_under is not None:
        within("--fail-under", fail_under, 0.01, 1.0)
    with connect(home) as api:
        shown = api.get(f"/v1/features/{feature}")
        parsed = Feature.from_dict(shown["document"])
        names = _names(parsed, tiers)
        found = find(api, feature, version)
        if not found["of_this_task"]:
            raise TierlineError(
                f"dataset {found['version']} is of another task: {feature} was changed since it "
                "was built"
            )
        rows = _examples(parsed, rows_of(api, feature, found["version"]), limit)
        asked = [_ask(api, shown["source"], parsed, name, rows, timeout) for name in names]
    beside = _compared(asked)
    if junit is not None:
        _write_junit(junit, feature, beside, fail_under)
    if as_json:
        print_json(_json(feature, found["version"], rows, asked, beside))
    else:
        _show(feature, found["version"], rows, asked, beside)
    if fail_under is not None and any(_low(one) < fail_under for one in beside):
        raise typer.Exit(NOT_REACHED)


def _names(feature: "Feature", wanted: str | None) -> list[str]:
    """The tiers to ask, the one to be held to last. Raises UsageError."""
    known = [tier.name for tier in feature.tiers]
    names = known if wanted is None else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(f"{feature.name} has no tier {name!r}; its tiers: {', '.join(known)}")
    if len(set(names)) < 2:
        raise UsageError("two tiers are compared: name them by --tiers slm,frontier")
    if feature.compared_by.kind == "judge":
        raise UsageError(
            f"{feature.name} is compared by a judge, which 'eval' does not ask: its outcomes are "
            "judged as they come, see 'tierline report'"
        )
    return sorted(set(names), key=known.index)


def _examples(feature: "Feature", rows: list[JSON], limit: int | None) -> list[JSON]:
    """The rows that test, without those that a prompt shows. Raises TierlineError for too few."""
    shown = {
        canonical_json(example.input)
        for examples in (feature.examples, *(tier.examples or () for tier in feature.tiers))
        for example in examples
    }
    found = [
        row
        for row in rows
        if row["side"] == "test"
        and row["input"] is not None
        and canonical_json(row["input"]) not in shown
    ][:limit]
    if len(found) < FEWEST:
        raise TierlineError(
            f"not enough data: {len(found)} examples of the dataset test, are yours to read and "
            f"stand in no prompt; {FEWEST} are the least"
        )
    return found


def _ask(
    api: "Client",
    source: str,
    feature: "Feature",
    tier: str,
    rows: list[JSON],
    within_s: float,
) -> OfTier:
    from tierline.cli.draft_jobs import ask_all
    from tierline.cli.drafts import keep_draft

    draft = keep_draft(api, Path(feature.name), source, tier)
    same = feature.compared_by.same

    def right(place: int, job: JSON) -> bool:
        served = job["status"] == "completed" and job["output"] is not None
        return served and same(job["output"], rows[place]["expected"])

    asked = ask_all(
        api,
        draft,
        [row["input"] for row in rows],
        within_s,
        f"{feature.name}, {tier}",
        lambda place, job: not right(place, job),
    )
    late = sum(not one.ended for one in asked)
    if late or len(asked) < len(rows):
        raise TierlineError(
            f"{tier} had not answered {len(rows) - len(asked) + late} of {len(rows)} examples "
            f"after {within_s:g} s: give it longer by --timeout, or fewer by --limit"
        )
    attempts = [api.get(f"/v1/jobs/{one.job['id']}/attempts")["data"] for one in asked]
    return OfTier(
        tier,
        tuple(float(right(place, one.job)) for place, one in enumerate(asked)),
        tuple(one.job["output"] for one in asked),
        sum((Decimal(one.job["cost_usd"] or 0) for one in asked), Decimal(0)),
        sum(one.job["unknown_cost_calls"] for one in asked),
        tuple(
            each[-1]["latency_s"] for each in attempts if each and each[-1]["latency_s"] is not None
        ),
    )


def _compared(asked: Sequence[OfTier]) -> list[Beside]:
    """Every tier but the last beside that one. Raises TierlineError without the extra."""
    try:
        from tierline.evaluation.compare import compare
        from tierline.evaluation.verdict import verdict

        last = asked[-1]
        found = [(one, compare(one.scores, last.scores)) for one in asked[:-1]]
        return [Beside(one, compared, verdict(compared)) for one, compared in found]
    except ImportError as missing:
        raise TierlineError(
            f"comparing needs the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None


def _low(one: Beside) -> float:
    return 0.0 if one.compared.interval is None else one.compared.interval.low


def _json(
    feature: str, version: int, rows: list[JSON], asked: Sequence[OfTier], beside: Sequence[Beside]
) -> JSON:
    from tierline.views import usd

    return {
        "feature": feature,
        "dataset": version,
        "examples": len(rows),
        "tiers": [
            {
                "tier": one.name,
                "right": int(sum(one.scores)),
                "quality": sum(one.scores) / len(rows),
                "cost_usd": usd(one.cost_usd),
                "unknown_cost_calls": one.unknown_cost_calls,
                "latency_p50_s": _median(one.latencies_s),
            }
            for one in asked
        ],
        "compared": [
            {
                "tier": one.tier.name,
                "with": asked[-1].name,
                "ratio": one.compared.ratio,
                "interval": None
                if one.compared.interval is None
                else [one.compared.interval.low, one.compared.interval.high],
                "method": one.compared.method,
                "only_this": one.compared.only_small,
                "only_the_other": one.compared.only_large,
                "mcnemar_p": one.compared.mcnemar_p,
                "verdict": one.verdict.rung,
                "reason": one.verdict.reason,
                "more_examples": one.verdict.more,
                "differ": [
                    {
                        "row": rows[place]["number"],
                        "expected": rows[place]["expected"],
                        "output": one.tier.outputs[place],
                        "other_output": asked[-1].outputs[place],
                    }
                    for place in _differing(one.tier, asked[-1])
                ],
            }
            for one in beside
        ],
    }


def _show(
    feature: str, version: int, rows: list[JSON], asked: Sequence[OfTier], beside: Sequence[Beside]
) -> None:
    from tierline.cli.output import Col, line, one_line, print_table, usd
    from tierline.evaluation.compare import mean_interval
    from tierline.views import usd as exact

    line(f"{feature}: {len(rows):,} test examples of dataset {version}")
    line()
    table = []
    for each in asked:
        bounds = mean_interval(each.scores)
        p50 = _median(each.latencies_s)
        table.append(
            (
                each.name,
                f"{sum(each.scores) / len(rows):.1%}",
                f"{bounds.low:.1%}-{bounds.high:.1%}",
                usd(exact(each.cost_usd)) + (" + ?" if each.unknown_cost_calls else ""),
                "" if p50 is None else f"{p50:.3f} s",
            )
        )
    print_table(
        [
            Col("TIER", wrap=False),
            *(Col(title, "right") for title in ("RIGHT", "95%", "COST", "P50")),
        ],
        table,
        empty="",
    )
    last = asked[-1]
    for one in beside:
        found = one.compared
        line()
        line(f"{one.tier.name} beside {last.name}: {one.verdict.rung}; {one.verdict.reason}.")
        line(
            f"  {found.only_small} only {one.tier.name} has right, {found.only_large} only "
            f"{last.name}; by luck with p = {found.mcnemar_p:.3g} (McNemar, exact)."
        )
        if one.verdict.more is not None:
            line(
                f"  About {one.verdict.more:,} more examples would settle it if it truly keeps 97%."
            )
        for place in _differing(one.tier, last)[:SHOWN]:
            asked_for = one_line(json.dumps(rows[place]["input"], ensure_ascii=False), 60)
            line(f"  {asked_for}")
            line(
                f"    expected {_brief(rows[place]['expected'])}; {one.tier.name} "
                f"{_brief(one.tier.outputs[place])}; {last.name} {_brief(last.outputs[place])}"
            )


def _write_junit(
    path: Path, feature: str, beside: Sequence[Beside], fail_under: float | None
) -> None:
    """A suite with a case for each tier, which fails where the verdict, or the bound, does."""
    from xml.etree import ElementTree

    suite = ElementTree.Element("testsuite", name=f"tierline eval {feature}")
    failures = 0
    for one in beside:
        case = ElementTree.SubElement(suite, "testcase", classname=feature, name=one.tier.name)
        under = _low(one) < fail_under if fail_under is not None else one.verdict.rung not in _GOOD
        if under:
            failures += 1
            failure = ElementTree.SubElement(case, "failure", message=one.verdict.reason)
            failure.text = f"{one.verdict.rung}: {one.verdict.reason}"
    suite.set("tests", str(len(beside)))
    suite.set("failures", str(failures))
    try:
        path.write_bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


_GOOD = ("ship", "default")


def _differing(one: OfTier, other: OfTier) -> list[int]:
    from tierline.evaluation.verdict import differing

    return differing(one.scores, other.scores)


def _median(values: Sequence[float]) -> float | None:
    from statistics import median

    return median(values) if values else None


def _brief(output: JSON) -> str:
    from tierline.cli.output import one_line

    return "nothing" if output is None else one_line(json.dumps(output, ensure_ascii=False), 40)
