"""Changing keys of a feature file leaves the rest as it was written."""

import pytest

from tests.support.samples.features import TRIAGE
from tierline.base.yaml_lines import read_yaml
from tierline.features.edit import edited
from tierline.features.parse import parse_feature

FILE = """feature: tickets   # ours
instructions: |
  Name the kind.
input: {type: object}
output: {type: string, enum: [a, b]}
routing: frontier_first      # for now
# who goes first
canary:
  tier: slm
  share: 0.1   # a tenth
confidence: {signal: agreement, samples: 3, threshold: calibrated}
tiers:
  - name: slm
    models: [openai:small]
    confidence:
      signal: label_logprob
      threshold: 0.8
  - {name: frontier, models: [openai:large]}
# the end
"""


def test_a_scalar_is_changed_where_it_stands_and_its_comment_stays() -> None:
    text = edited(FILE, {("routing",): "slm_first"})
    assert text == FILE.replace("frontier_first ", "slm_first ")


def test_a_key_goes_with_all_of_its_lines_and_comments_of_others_stay() -> None:
    text = edited(FILE, {("canary",): None})
    gone = "canary:\n  tier: slm\n  share: 0.1   # a tenth\n"
    assert text == FILE.replace(gone, "")
    assert edited(text, {("canary",): None}) == text


def test_a_block_is_replaced_and_a_new_key_stands_before_the_tiers() -> None:
    text = edited(FILE, {("canary",): {"tier": "slm", "share": 0.5}})
    assert "canary: {tier: slm, share: 0.5}\ntiers:" in text
    assert "# who goes first" in text
    assert read_yaml(text, "x").value["canary"]["share"] == 0.5


def test_scalars_below_the_top_are_changed_in_either_style() -> None:
    text = edited(
        FILE,
        {("confidence", "threshold"): 0, ("tiers", 0, "confidence", "threshold"): 0},
    )
    assert "samples: 3, threshold: 0}" in text
    assert "      threshold: 0\n" in text
    assert "# the end" in text


def test_what_is_not_there_below_the_top_is_refused() -> None:
    with pytest.raises(KeyError):
        edited(FILE, {("confidence", "verify"): False})


def test_a_file_in_braces_is_written_anew_with_the_same_meaning() -> None:
    text = edited('{feature: a, routing: slm_first, tiers: [{name: "b"}]}', {("routing",): "x"})
    assert read_yaml(text, "x").value == {"feature": "a", "routing": "x", "tiers": [{"name": "b"}]}


@pytest.mark.parametrize("end", ["", "\n", "\n\n# more\n"])
def test_the_last_key_may_go_however_the_file_ends(end: str) -> None:
    text = edited(f"feature: a\ncanary: {{tier: b, share: 0.1}}{end}", {("canary",): None})
    assert read_yaml(text, "x").value == {"feature": "a"}


def test_a_whole_feature_keeps_its_meaning() -> None:
    before = parse_feature(TRIAGE).to_dict()
    after = parse_feature(edited(TRIAGE, {("routing",): "frontier_first"})).to_dict()
    assert {key for key in after if after[key] != before.get(key)} == {"routing"}
