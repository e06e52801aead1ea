"""`--dry-run`: read all of FILE, check every row against the input schema, send nothing."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tierline.base.formats import usd as exact
from tierline.base.json_text import JSON
from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.checks.schema import faults_text, schema_check
from tierline.cli.run.backfill.progress import Progress
from tierline.cli.run.backfill.reading import Reading
from tierline.cli.run.backfill.sources import open_source
from tierline.cli.run.backfill.state import RunRequest
from tierline.cli.shared.output import Col, line, print_json, print_table, usd
from tierline.features import Feature
from tierline.pricing.estimates import TierEstimate, estimates

FIRST_BAD = 10


@dataclass
class DryRun:
    """What a run would do."""

    feature: str
    version: int
    rows: int = 0  # valid rows
    bad: int = 0
    first_bad: list[JSON] = field(default_factory=list)
    characters: int = 0
    tiers: list[TierEstimate] = field(default_factory=list)

    def note_bad(self, line: int | None, custom_id: str | None, message: str) -> None:
        self.bad += 1
        if len(self.first_bad) < FIRST_BAD:
            self.first_bad.append({"line": line, "id": custom_id, "message": message})


def count(feature: JSON, request: RunRequest, limit: int | None, progress: Progress) -> DryRun:
    """Reads the source once. Raises UsageError if it cannot be read as the feature's inputs."""
    schema = feature["document"]["input"]
    source = open_source(
        Path(request.file), schema, request.mapping, request.id_column, request.encoding
    )
    check = schema_check(schema)
    counted = DryRun(feature["name"], feature["version"])

    def bad(line: int | None, custom_id: str | None, message: str) -> None:
        counted.note_bad(line, custom_id, message)
        progress.bad(line, custom_id, message)

    for row in Reading(source, limit).rows(bad):
        if not check.fits(row.input):
            bad(row.line, row.custom_id, faults_text(check.faults(row.input)))
            continue
        counted.rows += 1
        progress.count("read", counted.rows)
        counted.characters += len(json.dumps(row.input, ensure_ascii=False))
    model = Feature.from_dict(feature["document"])
    every = estimates(model, feature["prices"], counted.rows, counted.characters)
    # from the tier where jobs begin
    counted.tiers = every[model.allowed_tiers().index(model.first_tier()) :]
    return counted


def report(counted: DryRun, as_json: bool) -> None:
    """Print the result, for a person or a script."""
    first = counted.tiers[0].cost_usd
    costs = [tier.cost_usd for tier in counted.tiers]
    every = sum((cost for cost in costs if cost is not None), Decimal(0))
    all_tiers = None if None in costs else every
    if as_json:
        print_json(
            {
                "dry_run": True,
                "feature": counted.feature,
                "feature_version": counted.version,
                "rows": counted.rows + counted.bad,
                "bad_rows": counted.bad,
                "first_bad": counted.first_bad,
                "tiers": [tier.to_dict() for tier in counted.tiers],
                "cost_usd_first_tier": None if first is None else exact(first),
                "cost_usd_all_tiers": None if all_tiers is None else exact(all_tiers),
            }
        )
        return
    line(f"{counted.rows + counted.bad:,} rows, {counted.bad:,} of them invalid; nothing is sent")
    print_table(
        [
            *(Col("TIER"), Col("MODEL"), Col("TOKENS IN", "right"), Col("TOKENS OUT", "right")),
            Col("COST", "right"),
        ],
        [
            (
                tier.tier,
                tier.model,
                f"{tier.input_tokens:,}",
                f"{tier.output_tokens:,}",
                usd(tier.cost_usd),
            )
            for tier in counted.tiers
        ],
        empty="",
    )
    if len(counted.tiers) > 1:
        line(
            f"estimate: {usd(first)} if the first tier answers all rows, {usd(all_tiers)} if it "
            "answers none"
        )
    line(
        f"({CHARACTERS_PER_TOKEN} characters of prompt and input to a token, answers as long as "
        "each tier allows; without re-asks, retries and higher rates of long prompts)"
    )
