"""A feature of three priced tiers on a bench, and which of them a job was sent to."""

from tests.support.database.rows import add_feature
from tests.support.scenes.bench import Bench
from tierline.features.parse import parse_feature

THREE = """
feature: {name}
instructions: Give the amount.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: object, required: [amount], properties: {{amount: {{type: number}}}}}}
{more}
tiers:
  - {{name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}}
  - name: mid
    models: [openai:mid]
    max_tokens: 50
    timeout_s: 5
    prices: {{"openai:mid": {{input_usd_per_mtok: 5, output_usd_per_mtok: 20}}}}
  - name: frontier
    models: [openai:large]
    max_tokens: 50
    timeout_s: 5
    prices: {{"openai:large": {{input_usd_per_mtok: 10, output_usd_per_mtok: 40}}}}
"""


def apply(bench: Bench, more: str = "") -> int:
    feature = parse_feature(THREE.format(name=f"three-{next(bench.numbers)}", more=more))
    with bench.pool.connection() as connection:
        return add_feature(connection, feature)


def tiers(bench: Bench, job: object) -> list[str]:
    rows = bench.all("SELECT tier FROM attempts WHERE job_id = %s ORDER BY number", job)
    return [tier for (tier,) in rows]
