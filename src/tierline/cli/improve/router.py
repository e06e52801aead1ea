"""`tierline router`: what tells, before the first tier is asked, whether it would fail."""

import base64
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON, canonical_json
from tierline.cli.shared.options import Home, Json, command_group

if TYPE_CHECKING:
    from tierline.routing.complexity import Complexity

app = command_group("Train, list and withdraw routers by complexity.")

FEWEST = 50  # rows: fewer cannot be cut into folds that hold both kinds
FEWEST_OF_A_KIND = 10
MOST_EXAMPLES = 800  # whose embeddings a router keeps: what a request's body has room for


@app.command()
def train(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    embeddings: Annotated[
        bool, typer.Option(help="Look at the meaning of inputs, not only at their form.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how well it would tell.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn from what the first tier handled well or badly which inputs it would fail on."""
    from tierline.cli.improve.embedding import embedded
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json
    from tierline.features.prompts import input_text

    with connect(home) as api:
        rows = api.get(f"/v1/features/{feature}/training-data")["data"]
        right = [row["right"] for row in rows]
        _refuse_too_few(feature, right)
        texts = [input_text(row["input"]) for row in rows]
        try:
            vectors = embedded(texts) if embeddings else None
            router, quality = _trained(texts, right, vectors)
            from tierline.routing.trained import to_parts

            document, packed = to_parts(router)
        except ImportError as missing:
            raise TierlineError(
                f"training needs the extra `routing` ({missing.name} is missing): run 'make setup'"
            ) from None
        body = {
            "rows": len(rows),
            "right_rows": sum(right),
            "data_sha256": hashlib.sha256(canonical_json(rows).encode()).hexdigest(),
            "quality": quality,
            "document": document,
            "vectors": None if packed is None else base64.b64encode(packed).decode(),
        }
        made: JSON = None
        if not dry_run:
            made = api.post(f"/v1/features/{feature}/routers", json=body)
    if as_json:
        print_json({"router": made, "quality": quality, "rows": len(rows)})
        return
    _show(feature, made, quality, right)


@app.command("list")
def list_(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """A feature's routers, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        found = api.get(f"/v1/features/{feature}/routers")
    if as_json:
        print_json(found)
        return
    print_table(
        [
            Col("ID", "right"),
            Col("TRAINED", wrap=False),
            *(Col(title, "right") for title in ("ROWS", "RIGHT", "AUROC", "BRIER")),
            *(Col("LOOKS AT"), Col("WITHDRAWN", wrap=False)),
        ],
        [
            (
                *(one["id"], when(one["trained_at"]), f"{one['rows']:,}", f"{one['right_rows']:,}"),
                *(_number(one["quality"], name) for name in ("auroc", "brier")),
                "form and meaning" if one["with_embeddings"] else "form",
                when(one["withdrawn_at"]) if one["withdrawn_at"] else "",
            )
            for one in found["data"]
        ],
        empty="no router yet: the rules of a cold start hold",
    )


@app.command()
def withdraw(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    router: Annotated[int, typer.Argument(metavar="ID", min=1)],
    home: Home = None,
) -> None:
    """End a router: the one before it counts, or the rules of a cold start."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line

    with connect(home) as api:
        api.post(f"/v1/features/{feature}/routers/{router}/withdraw")
    line(f"router {router} of {feature} is withdrawn")


def _refuse_too_few(feature: str, right: list[bool]) -> None:
    rarer = min(right.count(True), right.count(False))
    if len(right) < FEWEST:
        raise TierlineError(
            f"not enough data: {len(right)} inputs of {feature} are labelled, and "
            f"{FEWEST - len(right)} more are needed"
        )
    if rarer < FEWEST_OF_A_KIND:
        kind = "well" if right.count(True) == rarer else "badly"
        raise TierlineError(
            f"not enough data: the first tier handled {rarer} of {len(right)} inputs {kind}, and "
            f"{FEWEST_OF_A_KIND - rarer} more such are needed"
        )


def _trained(
    texts: list[str], right: list[bool], vectors: Any
) -> tuple["Complexity", dict[str, JSON]]:
    """The router of all rows, and how well one tells that was trained on other rows."""
    from tierline.routing import rankers
    from tierline.routing.complexity import text_signals, train
    from tierline.routing.replay import cross_fitted
    from tierline.routing.trained import quality

    glances = [text_signals(text) for text in texts]
    ours = rankers.complexity(glances, right, vectors, MOST_EXAMPLES)
    found: dict[str, JSON] = {**quality(right, cross_fitted(len(texts), ours))}
    longest = max(map(len, texts)) or 1
    found["baselines"] = {
        name: quality(right, scores)["auroc"]
        for name, scores in (
            ("prompt length", [1.0 - len(text) / longest for text in texts]),
            ("TF-IDF", cross_fitted(len(texts), rankers.tfidf(texts, right))),
            ("kNN", cross_fitted(len(texts), rankers.nearest(texts, right, vectors))),
        )
    }
    return train(glances, right, vectors, MOST_EXAMPLES), found


def _show(feature: str, made: JSON, quality: JSON, right: list[bool]) -> None:
    from tierline.cli.shared.output import Col, line, print_table

    if made is None:
        line(f"{feature}: trained on {len(right):,} inputs, not kept (--dry-run)")
    else:
        line(
            f"router {made['id']} of {feature}: trained on {len(right):,} inputs, holds from now on"
        )
    line(f"{right.count(False):,} of them were handled badly. Judged on other rows than fitted on:")
    line()
    print_table(
        [Col("TELLS BY"), Col("AUROC", "right")],
        [
            ("this router", f"{quality['auroc']:.3f}"),
            *((name, f"{value:.3f}") for name, value in quality["baselines"].items()),
        ],
        empty="nothing",
    )
    line(
        f"Brier score of its chances {quality['brier']:.4f}; of always the mean "
        f"{quality['brier_of_the_mean']:.4f}."
    )


def _number(quality: JSON, name: str) -> str:
    value = quality.get(name)
    return f"{value:.3f}" if isinstance(value, int | float) else ""
