"""Providers and held models as the console shows them."""

from datetime import UTC, datetime
from typing import Any

from api.console.views.providers import circuits_of, providers_of
from tierline.services.features.provider_keys import ProviderKeys
from tierline.services.reports.installation import Circuit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def circuit(model: str, **more: Any) -> Circuit:
    given = {
        **{"model": model, "open": False, "cause": None, "reason": None, "opened_at": None},
        **{"failed_probes": 0, "probe_in_s": None, "paused_s": 0.0, "read_at": NOW},
    }
    return Circuit(**{**given, **more})


def test_held_models_come_first_with_what_to_do() -> None:
    shown = circuits_of(
        [
            circuit("a:well"),
            circuit("b:paused", paused_s=5.0),
            circuit("c:refused", open=True, cause="KEY", opened_at=NOW),
        ],
        [],
    )
    assert [(one.circuit.model, one.held, one.mark.word) for one in shown] == [
        ("b:paused", True, "rate limited"),
        ("c:refused", True, "held"),
        ("a:well", False, "answers"),
    ]
    assert "Set a valid one" in (shown[1].advice or "")


def test_a_provider_says_what_the_workers_lack() -> None:
    keys = ProviderKeys([frozenset({"openai"}), frozenset()])
    (shown,) = providers_of([], {"openai": ["api.openai.com"]}, keys)
    assert shown.missing is not None
    assert "1 of 2 workers" in shown.missing
    assert shown.mark.word == "not set up"
    (ready,) = providers_of([], {"openai": []}, ProviderKeys([frozenset({"openai"})]))
    assert ready.mark.word == "ready"
