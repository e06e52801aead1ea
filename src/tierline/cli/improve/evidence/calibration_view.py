"""Prints calibrations, and the outcomes that a search could use."""

from tierline.base.json_text import JSON


def show_count(count: JSON) -> None:
    from tierline.cli.shared.output import print_pairs

    print_pairs(
        [
            ("feature", f"{count['feature']}, tier {count['tier']}"),
            ("answered by", count["models"] or "no model yet"),
            ("compared with", _compared_with(count)),
            ("new outcomes", count["outcomes"]),
            ("chance of success", _chance(count)),
            ("recommended", _recommended(count)),
            ("calibration", f"the {_ordinal(count['attempt'])} for these models"),
            *([("judge", _judged(count["judge"]))] if count["judge"] else ()),
        ]
    )


def _chance(count: JSON) -> str:
    if count["chance"] is None:
        return "unknown: too few outcomes"
    return f"{count['chance']:.0%} if they are searched now"


def _recommended(count: JSON) -> str:
    if count["recommended"] is not None:
        more = f"{count['missing']:,} more" if count["missing"] else "no more needed"
        return f"{count['recommended']:,} outcomes ({more}): chance of success 90%"
    if count["chance"] is None:
        return f"at least {count['missing']:,} more, then ask again"
    return (
        "none: these cannot say how many make it likely; collect more, or promise a higher error "
        "rate"
    )


def show(calibration: JSON) -> None:
    """Print the promise, the outcomes it is based on, and the counts of each label."""
    from tierline.cli.shared.output import line

    line(_promised(calibration))
    if calibration["threshold"] is None:
        line(
            "No threshold keeps this promise. All answers escalate; a new calibration needs new "
            "outcomes."
        )
    else:
        line(
            f"Calibration {calibration['id']} serves answers with a score of at least "
            f"{calibration['threshold']:.3f}: {calibration['coverage']:.1%} of "
            f"{calibration['samples']:,} outcomes. Of {calibration['served']:,} served, "
            f"{calibration['errors']:,} were errors, so the bound is {calibration['bound']:.2%}."
        )
    if calibration["why_not_learned"] is None:
        line(
            f"The score was learned on {calibration['fitted']:,} other outcomes, from these "
            f"signals: {', '.join(calibration['signals'])}."
        )
    else:
        line(f"The score is a single signal: {calibration['why_not_learned']}.")
    if calibration["judge"] is not None:
        line(f"Differences were decided by {_judged(calibration['judge'])}.")
    if calibration["state"] == "not_applied":
        line(
            "It shows what such a threshold would serve, and changes nothing: the feature's own "
            "threshold decides. To route by a promise, give the feature 'threshold: calibrated', "
            "apply it, and calibrate on the outcomes that follow."
        )
    line(
        "The promise holds only for traffic like these outcomes, for this prompt and these models."
    )
    if calibration["by_label"]:
        line()
        _show_labels(calibration["by_label"])


def _promised(calibration: JSON) -> str:
    return (
        f"Of the answers that the tier {calibration['tier']} of {calibration['feature']} serves, "
        f"at most {calibration['max_error']:.2%} {_wrong(calibration)}, at "
        f"{calibration['confidence']:.0%} confidence."
    )


def _judged(judge: JSON) -> str:
    return (
        f"{judge['model']}; of {judge['samples']:,} answers that it judged to be the same, people "
        f"found {judge['wrong']:,} wrong, so it misses up to {judge['missed']:.1%}"
    )


def _wrong(calibration: JSON) -> str:
    """What counts as an error. Without labels from people it is only a difference, not wrong."""
    if calibration["reference"] == "human" or calibration["judge"] is not None:
        return "may be wrong"
    return f"may differ from {', '.join(calibration['reference_models']) or 'the later tier'}"


def _compared_with(evidence: JSON) -> str:
    if evidence["reference"] == "human":
        return "people's labels"
    return ", ".join(evidence["reference_models"]) or "nothing yet"


def _show_labels(labels: JSON) -> None:
    from tierline.cli.shared.output import Col, print_table

    print_table(
        [Col("ANSWER"), *(Col(title, "right") for title in ("OUTCOMES", "SERVED", "DIFFER"))],
        [(one["label"], one["samples"], one["served"], one["errors"]) for one in labels],
        empty="no label",
    )


def show_all(calibrations: list[JSON]) -> None:
    from tierline.cli.shared.output import Col, print_table, when

    print_table(
        [
            Col("ID", "right"),
            Col("MADE", wrap=False),
            *(Col("STATE"), Col("PROMISE", "right"), Col("THRESHOLD", "right")),
            *(Col("SERVES", "right"), Col("BOUND", "right"), Col("SHADOWS", "right")),
            Col("ANSWERED BY"),
        ],
        [
            (
                one["id"],
                when(one["created_at"]),
                one["state"].replace("_", " "),
                f"{one['max_error']:.2%} at {one['confidence']:.0%}",
                "" if one["threshold"] is None else f"{one['threshold']:.3f}",
                f"{one['coverage']:.1%}",
                "" if one["bound"] is None else f"{one['bound']:.2%}",
                f"{one['shadow_errors']} of {one['shadow_samples']} differ"
                if one["shadow_samples"]
                else "",
                one["models"],
            )
            for one in calibrations
        ],
        empty="no calibration yet",
    )


def _ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
