"""Each form is written as its provider takes it, and its validator names what is wrong."""

import json
from typing import Any

import pytest

from tests.support.samples.prompts import PROMPT
from tierline.datasets.export import FORMS

WRITTEN: dict[str, Any] = {
    "openai": {
        "messages": [
            {"role": "system", "content": "Name the kind."},
            {"role": "user", "content": "<input>\nan example\n</input>"},
            {"role": "assistant", "content": "billing"},
            {"role": "user", "content": "<input>\nmy card was charged twice\n</input>"},
            {"role": "assistant", "content": "billing"},
        ]
    },
    "mistral": {
        "messages": [
            {"role": "user", "content": "Name the kind.\n\n<input>\nan example\n</input>"},
            {"role": "assistant", "content": "billing"},
            {"role": "user", "content": "<input>\nmy card was charged twice\n</input>"},
            {"role": "assistant", "content": "billing"},
        ]
    },
    "vertex": {
        "systemInstruction": {"role": "system", "parts": [{"text": "Name the kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "<input>\nan example\n</input>"}]},
            {"role": "model", "parts": [{"text": "billing"}]},
            {"role": "user", "parts": [{"text": "<input>\nmy card was charged twice\n</input>"}]},
            {"role": "model", "parts": [{"text": "billing"}]},
        ],
    },
    "trl": {
        "prompt": [
            {"role": "system", "content": "Name the kind."},
            {"role": "user", "content": "<input>\nan example\n</input>"},
            {"role": "assistant", "content": "billing"},
            {"role": "user", "content": "<input>\nmy card was charged twice\n</input>"},
        ],
        "completion": [{"role": "assistant", "content": "billing"}],
    },
}
WRITTEN["together"] = WRITTEN["openai"]


@pytest.mark.parametrize("name", list(FORMS))
def test_a_row_is_written_as_its_form_has_it_and_passes_its_validator(name: str) -> None:
    made = FORMS[name].row(PROMPT, "billing")
    assert made == WRITTEN[name]
    assert FORMS[name].faults(made) == []
    assert FORMS[name].faults(json.loads(json.dumps(made))) == []


def changed(name: str, **more: Any) -> Any:
    return {**json.loads(json.dumps(WRITTEN[name])), **more}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("openai", [], "a row must be a JSON object"),
        ("openai", {}, "messages is missing"),
        ("openai", changed("openai", text="x"), '"text" is not a known key'),
        ("openai", {"messages": []}, "not a list of turns"),
        (
            "openai",
            {"messages": [{"role": "user"}]},
            "messages[0] needs exactly the keys role and content",
        ),
        ("openai", {"messages": [{"role": "bot", "content": "x"}]}, "has the role"),
        (
            "openai",
            {"messages": [{"role": "user", "content": "x"}]},
            "the last turn must be the assis",
        ),
        ("together", {"messages": [{"role": "assistant", "content": "x"}]}, "beginning with user"),
        ("mistral", WRITTEN["openai"], 'the role "system"'),
        ("vertex", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, "the model's"),
        ("vertex", {"contents": [{"role": "user", "parts": []}]}, "has no parts"),
        ("vertex", {"contents": [{"role": "ai", "parts": [{"text": "x"}]}]}, "use user or model"),
        ("trl", {"prompt": WRITTEN["trl"]["prompt"]}, "completion is missing"),
        ("trl", changed("trl", completion=[]), "not a list of one turn"),
        ("trl", changed("trl", prompt=WRITTEN["trl"]["completion"]), "beginning with user"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(name: str, given: Any, message: str) -> None:
    assert any(message in fault for fault in FORMS[name].faults(given)), FORMS[name].faults(given)


@pytest.mark.parametrize("name", list(FORMS))
def test_an_answer_that_says_nothing_is_a_fault(name: str) -> None:
    assert FORMS[name].faults(FORMS[name].row(PROMPT, "  "))
