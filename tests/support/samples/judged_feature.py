"""A feature whose free text is compared by a judge, and the three models that it names."""

import json
from typing import Any

from tests.support.fake_servers.model_server import Reply

SUMMARY = """
feature: {name}
instructions: Say it in a few words.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: string}}
comparison: {{kind: judge, model: "openai:judge", instructions: The amount has to be the same.}}
confidence: {{signal: agreement, samples: 2, threshold: calibrated}}
shadow: {{share: 1}}
tiers:
  - {{name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}}
  - {{name: frontier, models: [openai:large], max_tokens: 50, timeout_s: 5}}
"""


def _number_of(text: str) -> str:
    return next(word for word in text.replace("<", " ").split() if word.isdigit())


def model(body: dict[str, Any]) -> str | Reply:
    """Both say the amount in their own words; small is wrong about what is hard, and unsure."""
    prompt = body["messages"][-1]["content"]
    if body["model"] == "judge":
        first, second = prompt.split("Answer A:")[1].split("Answer B:")
        return json.dumps({"same": _number_of(first) == _number_of(second)})
    number = int(_number_of(prompt))
    if body["model"] == "large":
        return f"It is {number} euros"
    return f"About {number + (body['seed'] if 'hard' in prompt else 0)} euros"
