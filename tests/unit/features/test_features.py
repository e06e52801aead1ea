"""Feature files: what is taken, and that what is refused is refused with its line."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples.features import INVOICE, SUMMARY, TRIAGE
from tierline.base.errors import FeatureError
from tierline.features import Confidence, Feature, ModelRef, Price, Tier
from tierline.features.parse import parse_feature, parse_with_warnings


def problems(text: str, **options: object) -> list[tuple[int | None, str]]:
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml", **options)  # type: ignore[arg-type]
    return [(problem.line, problem.message) for problem in caught.value.problems]


def with_line(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_the_documented_file_is_taken_as_written() -> None:
    feature = parse_feature(INVOICE)
    assert feature.name == "invoice-fields"
    assert feature.tier("slm") == Tier(
        "slm", (ModelRef("local", "smollm2-135m"),), max_tokens=200, timeout_s=20.0
    )
    assert feature.tier("frontier").instructions == "Read the invoice and return its fields.\n"
    assert feature.confidence == Confidence("agreement", 1.0, 2, 0.7)
    assert [check.kind for check in feature.checks] == ["grounded", "rule"]
    assert not feature.plain_text


def test_what_was_found_out_is_too_old_after_the_days_that_the_file_says() -> None:
    feature = parse_feature(INVOICE + "\nrefresh_days: 30\n")
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert feature.needs_refresh(now - timedelta(days=31), now)
    assert not feature.needs_refresh(now - timedelta(days=29), now)


@pytest.mark.parametrize("text", [INVOICE, TRIAGE, SUMMARY])
def test_a_feature_survives_its_json(text: str) -> None:
    feature = parse_feature(text)
    again = Feature.from_dict(feature.to_dict())
    assert again == feature
    assert again.fingerprint() == feature.fingerprint()


def test_another_word_in_the_instructions_is_another_fingerprint() -> None:
    other = parse_feature(INVOICE.replace("Extract the", "Extract all the"))
    assert other.fingerprint() != parse_feature(INVOICE).fingerprint()


def test_an_unknown_key_is_named_with_its_line_and_what_was_meant() -> None:
    text = with_line(INVOICE, "routing: slm_first", "ruoting: slm_first")
    [(line, message)] = problems(text)
    assert line == 1 + text[: text.index("ruoting")].count("\n")
    assert 'unknown key "ruoting"; did you mean "routing"?' in message


def test_all_problems_are_told_at_once_in_the_files_order() -> None:
    text = INVOICE.replace("slm_first  ", "slm_frist  ").replace("tokens: 200", "tokens: 0")
    text = text.replace("feature: invoice-fields", "feature: Invoice Fields")
    errors = problems(text)
    assert [line for line, _ in errors] == sorted(line or 0 for line, _ in errors)
    assert [line for line, _ in errors] == [1, 24, 28]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("total: {type: number, format: double}", '"double"'),
        ("total: {type: number, format: dat}", "did you mean date?"),
        ("total: {type: number, nullable: true}", "nullable is OpenAPI's"),
        ("total: {type: number, example: 5, x-order: 1, format: date2}", '"date2"'),
    ],
)
def test_what_is_probably_not_meant_is_a_warning_with_its_line(written: str, said: str) -> None:
    old = "total: {type: number}"
    text = with_line(INVOICE, old, written)
    feature, [warning] = parse_with_warnings(text, "f.yaml")
    assert warning.line == 1 + INVOICE[: INVOICE.index(old)].count("\n")
    assert said in warning.message
    total = feature.output_schema["properties"]["total"]
    assert total["type"] == (["number", "null"] if "nullable" in written else total["type"])
    assert "nullable" not in total


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("models: [local:smollm2-135m]", "models: []", "1 to 8 items"),
        ("models: [local:smollm2-135m]", "models: [smollm2]", "provider:model"),
        ("models: [local:smollm2-135m]", "models: [loca:x]", 'did you mean "local"?'),
        ("name: frontier", "name: slm", "given twice"),
        ("timeout_s: 20", "timeout_s: -1", "seconds"),
        ("max_tokens: 200 ", "max_tokens: yes ", "a whole number, not text"),
        ("samples: 2, ", "samples: 1, ", "2 to 20"),
        ("samples: 2, ", "", "samples"),
        ("samples: 2, ", "samples: 2, temperature: 0, ", "always agree"),
        ("threshold: 1.0", "threshold: 1.5", "0 to 1"),
        ("signal: agreement, samples: 2", "signal: label_logprob", "closed set"),
        ("total: {type: number}", "total: {type: numbre}", "numbre"),
        ("total: {type: number}", "total: {type: number, enm: [1]}", 'did you mean "enum"?'),
        ("total: {type: number}", "total: {type: number, minimun: 1}", 'did you mean "minimum"?'),
        ("output.total >= 0", "output.total >= '0'", "values of unlike types"),
        (
            "output.total >= 0",
            "output.currency != 'Eur'",
            'is never "Eur"; expected one of EUR, SEK, USD',
        ),
        ("output.total >= 0", "output.total.net >= 0", "output.total is a number"),
        ("total: {type: number}", "total: {$ref: 'http://example.com/x'}", "within the schema"),
        ("total: 12.5", "total: twelve", "does not fit the output schema"),
        ("output.total >= 0", "output.total >= ", "not a CEL expression"),
        ("output.total >= 0", "output.total < 0", "does not hold for the example on line 17"),
        ("output.total >= 0", "output.total + 1 >= 0.0", "cannot be evaluated"),
        ("output.total >= 0", "outptu.total >= 0", "reads outptu"),
        ("output.total >= 0", "total(output.total) >= 0", "calls total"),
        ("output.total >= 0", "sum(output.total) >= 0", "sum needs a list of numbers"),
        ("grounded: [invoice_number, total]", "grounded: [totl]", 'did you mean "total"?'),
        ("routing: slm_first ", "on_blocked: ignore ", "fail or return_unverified"),
        ("routing: slm_first ", "status_label: {fronteir: x} ", 'did you mean "frontier"?'),
    ],
)
def test_a_mistake_is_told_on_its_own_line(old: str, new: str, said: str) -> None:
    text = with_line(INVOICE, old, new)
    line = 1 + INVOICE[: INVOICE.index(old)].count("\n")
    errors = problems(text, known_providers=("local", "openai"))
    assert any(at == line and said in message for at, message in errors), errors


def test_yaml_words_are_read_by_the_rules_of_1_2() -> None:
    feature = parse_feature(TRIAGE.replace("[billing, bug, shipping]", "[yes, no, bug]"))
    assert feature.output_schema["properties"]["category"]["enum"] == ["yes", "no", "bug"]


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    [(line, message)] = problems("feature: a\nfeature: b\n")
    assert (line, message) == (2, 'the key "feature" is already given on line 1')


def test_a_missing_key_is_named() -> None:
    assert [message for _, message in problems("feature: a\ninstructions: b\n")] == [
        'the key "input" is missing',
        'the key "output" is missing',
        'the key "tiers" is missing',
    ]


@pytest.mark.parametrize("text", ["", "a: [1", "\x00", "- 1", "just words", "[" * 5000])
def test_what_is_no_feature_file_is_one_clear_problem(text: str) -> None:
    assert len(problems(text)) >= 1


def test_a_macro_over_an_unbounded_array_is_refused() -> None:
    text = SUMMARY.replace("output: {type: string}", "output: {type: array, items: {}}")
    text = text.replace("size(output) <= 40", "output.all(item, item > 0)")
    assert any("maxItems" in message for _, message in problems(text))


def test_a_rule_that_could_take_too_long_is_refused_on_its_line() -> None:
    text = SUMMARY.replace("output: {type: string}", "output: {type: array, maxItems: 1000}")
    text = text.replace(
        "size(output) <= 40", "output.all(a, output.all(b, a + b > 0.0 || 'x'.matches('^x$')))"
    )
    line = 1 + text[: text.index("rule:")].count("\n")
    assert [(at, "too long over arrays of 1000" in said) for at, said in problems(text)] == [
        (line, True)
    ]


def test_a_macro_over_a_bounded_array_is_taken() -> None:
    text = SUMMARY.replace("output: {type: string}", "output: {type: array, maxItems: 9}")
    parse_feature(text.replace("size(output) <= 40", "output.all(item, item > 0)"))


def test_more_labels_that_begin_alike_than_letters_are_refused() -> None:
    labels = ", ".join(f"card-{number}" for number in range(27))
    errors = problems(TRIAGE.replace("[billing, bug, shipping]", f"[bug, {labels}]"))
    assert any("begin alike" in message for _, message in errors)


def test_a_price_is_kept_to_the_last_digit() -> None:
    text = TRIAGE.replace(
        "timeout_s: 5",
        'timeout_s: 5, prices: {"local:smollm2-135m": '
        '{input_usd_per_mtok: "0.10", output_usd_per_mtok: 0.4}}',
    )
    tier = parse_feature(text).tiers[0]
    assert tier.prices == {
        "local:smollm2-135m": Price(Decimal("0.10"), Decimal("0.4"), Decimal("0.10"))
    }


def test_a_price_of_a_model_that_the_tier_does_not_have_is_refused() -> None:
    text = TRIAGE.replace("timeout_s: 5", 'timeout_s: 5, prices: {"openai:x": {}}')
    assert any('unknown key "openai:x"' in message for _, message in problems(text))


def test_routing_says_which_tiers_may_answer() -> None:
    def names(routing: str) -> list[str]:
        text = INVOICE.replace("routing: slm_first", f"routing: {routing}")
        return [tier.name for tier in parse_feature(text).allowed_tiers()]

    assert names("slm_first") == ["slm", "frontier"]
    assert names("slm_only") == ["slm"]
    assert names("frontier_only") == ["frontier"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("a closer look", "a closer look"), ('""', None), ("{frontier: wait}", "wait")],
)
def test_a_feature_may_say_other_words_or_none(given: str, shown: str | None) -> None:
    feature = parse_feature(f"{INVOICE}status_label: {given}\n")
    assert feature.status_labels["frontier"] == shown
    assert Feature.from_dict(feature.to_dict()) == feature


def test_the_features_confidence_does_not_bind_the_last_of_several_tiers() -> None:
    feature = parse_feature(INVOICE)
    assert feature.confidence_of(feature.tier("slm")) == feature.confidence
    assert feature.confidence_of(feature.tier("frontier")) is None


def test_a_tiers_own_confidence_binds_it_wherever_it_stands() -> None:
    own = "    confidence: {signal: agreement, samples: 5, threshold: 0.6}\n"
    feature = parse_feature(INVOICE + own)
    last = feature.tier("frontier")
    assert feature.confidence_of(last) == Confidence("agreement", 0.6, 5, 0.7)


def test_an_only_tier_is_bound_by_the_features_confidence() -> None:
    feature = parse_feature(TRIAGE)
    assert feature.confidence_of(feature.tiers[0]) == feature.confidence


@given(st.text(max_size=200))
def test_any_text_is_a_feature_or_a_list_of_problems(text: str) -> None:
    try:
        parse_feature(text)
    except FeatureError as error:
        assert error.problems  # noqa: PT017


@pytest.mark.parametrize("text", ["local", ":x", "local:", " local:x", ""])
def test_a_model_is_named_with_its_provider(text: str) -> None:
    with pytest.raises(ValueError, match="provider:model"):
        ModelRef.parse(text)


def test_a_models_own_name_may_hold_colons() -> None:
    assert ModelRef.parse("openai:ft:gpt:x").model == "ft:gpt:x"


def test_a_tiers_own_examples_are_checked_as_the_features_are() -> None:
    text = INVOICE.replace("invoice_number: C-3, total: 7", "invoice_number: C-3, total: -7")
    line = 1 + text[: text.index('{text: "Invoice C-3')].count("\n")
    [(at, message)] = problems(text)
    assert "output.total >= 0" in text.splitlines()[at - 1]
    assert message.endswith(f"does not hold for the example on line {line}")


def test_a_rule_over_a_field_that_a_closed_schema_lacks_is_a_problem() -> None:
    old = "  required: [invoice_number"
    text = INVOICE.replace(old, f"  additionalProperties: false\n{old}", 1)
    assert text != INVOICE
    text = text.replace("output.total >= 0", "output.totl >= 0")
    [(line, message)] = problems(text)
    assert line == 1 + text[: text.index("output.totl")].count("\n")
    assert 'output has no "totl"; did you mean "total"?' in message


def test_where_the_schema_is_open_it_is_a_warning() -> None:
    text = INVOICE.replace("output.total >= 0", "!has(output.totl)")
    _, [warning] = parse_with_warnings(text)
    assert warning.line == 1 + text[: text.index("output.totl")].count("\n")
    assert 'does not name "totl" in output; did you mean "total"?' in warning.message


def test_a_path_through_a_list_needs_no_quotes() -> None:
    text = INVOICE.replace("grounded: [invoice_number, total]", "grounded: [total, lines[].sku]")
    feature = parse_feature(
        text.replace(
            "total: {type: number}",
            "total: {type: number}\n    lines: {type: array, items: {type: object}}",
        )
    )
    assert feature.checks[0].fields == ("total", "lines[].sku")
