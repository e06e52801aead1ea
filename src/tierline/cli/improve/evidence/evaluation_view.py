"""Prints an evaluation's result: tables of tiers, fields and slices, and examples."""

import json
from collections.abc import Mapping, Sequence

from tierline.base.json_text import JSON
from tierline.cli.shared.output import Col, line, one_line, print_table, seconds, usd

SLICES = 8  # the slices where the first tier is worst compared with the last


def print_evaluation(evaluation: JSON, differing: Mapping[str, Sequence[JSON]]) -> None:
    """Print the evaluation. `differing`: for each tier, the examples to show where it differs from
    the last tier.
    """
    result = evaluation["result"]
    last = result["tiers"][-1]["tier"]
    line(
        f"evaluation {evaluation['id']} of {evaluation['feature']}: {result['examples']:,} test "
        f"examples of dataset {evaluation['dataset']}"
    )
    for where, count in evaluation["left_out"].items():
        if count:
            line(
                f"{count:,} more were left out: a tier has already seen them "
                f"{where.replace('_', ' ')}"
            )
    judge = result.get("judge")
    if judge:
        unread = f"; {judge['unread']} of its verdicts were unreadable" if judge["unread"] else ""
        line(f"{judge['model']} judged {judge['judged']:,} answers{unread}")
    own_labels = result.get("labelled_by_model", 0)
    if own_labels:
        line(
            f"{own_labels:,} labels are the last tier's own answers, so it is always right on them"
        )
    if evaluation["stale"]:
        line(f"This evaluation is no longer valid: {evaluation['stale']}.")
    line()
    print_table(
        [
            Col("TIER", wrap=False),
            *(
                Col(title, "right")
                for title in ("RIGHT", "95%", "UNANSWERED", "COST", "P50", "P95")
            ),
            Col("ANSWERED BY"),
        ],
        [
            (
                *(one["tier"], f"{one['quality']:.1%}", _between(one["interval"])),
                one["unanswered"] or "",
                usd(one["cost_usd"]) + (" + ?" if one["unknown_cost_calls"] else ""),
                *(seconds(one["latency_p50_s"]), seconds(one["latency_p95_s"])),
                ", ".join(one["models"]),
            )
            for one in result["tiers"]
        ],
        empty="",
    )
    for one in result["compared"]:
        line()
        _print_compared(one, last, differing.get(one["tier"], ()))
    names = [one["tier"] for one in result["tiers"]]
    if result["fields"]:
        line()
        _print_qualities("FIELD", [(one["field"], one) for one in result["fields"]], names)
    line()
    shown = result["slices"][:SLICES]
    _print_qualities("SLICE", [(f"{one['by']} {one['value']}", one) for one in shown], names)
    if len(result["slices"]) > SLICES:
        line(f"and {len(result['slices']) - SLICES:,} more slices, in --json")


def _print_compared(one: JSON, last: str, rows: Sequence[JSON]) -> None:
    tier = one["tier"]
    line(f"{tier} compared with {last}: {one['verdict']}; {one['reason']}.")
    line(
        f"  Only {tier} is right on {one['only_this']}, only {last} on {one['only_the_other']}; "
        f"p = {one['mcnemar_p']:.3g} (McNemar, exact)."
    )
    once = one.get("interval_once")
    if once is not None:
        line(
            "  This interval holds however often you look and add examples; for one look it is "
            f"{_between(once)}."
        )
    for text in _plans(one):
        line(f"  {text}")
    for row in rows:
        line(f"  {one_line(json.dumps(row['input'], ensure_ascii=False), 76)}")
        line(
            f"    expected {_brief(row['expected'])}; {tier} {_brief(row['output'])}; {last} "
            f"{_brief(row['other_output'])}"
        )


def _plans(one: JSON) -> list[str]:
    """How many further examples would decide what is open. Evaluations of before 0.3.0 lack the
    number for `default`.
    """
    result = []
    if one["more_examples"] is not None:
        result.append(f"About {one['more_examples']:,} more examples would decide 'ship'.")
    if one.get("more_examples_for_default") is not None:
        result.append(
            f"About {one['more_examples_for_default']:,} more examples would decide 'default'."
        )
    result += [
        f"Too close to call for '{rung}': no realistic number of examples decides it."
        for rung in one.get("too_close", ())
    ]
    return result


def _print_qualities(title: str, rows: Sequence[tuple[str, JSON]], names: Sequence[str]) -> None:
    print_table(
        [Col(title), Col("EXAMPLES", "right"), *(Col(name.upper(), "right") for name in names)],
        [
            (
                *(row_name, f"{one['examples']:,}"),
                *(
                    f"{one['quality'][name]:.1%}" if name in one["quality"] else ""
                    for name in names
                ),
            )
            for row_name, one in rows
        ],
        empty="",
    )


def _between(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1%}-{interval[1]:.1%}"


def _brief(output: JSON) -> str:
    return "nothing" if output is None else one_line(json.dumps(output, ensure_ascii=False), 40)
