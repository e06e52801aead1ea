"""Every check and every parser that a caller's or a model's text reaches, with text made to harm.

Run as a module it tries each row and prints what each took. Its argument is a number: texts of the
largest size are divided by it. Beside the row a thread ticks: what it
misses, the interpreter was held for. It looks at the processor time of the thread that works, so
that a busy machine does not count.
"""

import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from tests.support.samples.features import INVOICE
from tierline.base.errors import TierlineError
from tierline.base.json_text import canonical_json, parse_json
from tierline.base.text import folded
from tierline.base.yaml_lines import read_yaml
from tierline.checks import check, marks
from tierline.checks.agreement import agreement
from tierline.checks.cases import case_fault
from tierline.checks.dates import Dates, dates_in
from tierline.checks.json_repair import read_answer
from tierline.checks.labels import closed_set, indistinct, score
from tierline.checks.not_amounts import without_others
from tierline.checks.numbers import numbers_in
from tierline.checks.schema import SchemaCheck, schema_faults
from tierline.checks.signals import signals_of
from tierline.checks.work import Work
from tierline.features.cases import Case
from tierline.features.comparison import Comparison
from tierline.features.model import Feature
from tierline.features.parse import parse_feature
from tierline.features.prompts import as_data
from tierline.features.task import Check
from tierline.providers.types import TokenLogprob
from tierline.routing.learned.complexity import text_signals
from tierline.services.batches.read_rows import read_rows
from tierline.services.jobs.submitting.submission import read_submission
from tierline.webhooks.addresses import check_url

DIVISOR = int(sys.argv[1]) if __name__ == "__main__" else 1
MB = 1024 * 1024 // DIVISOR  # the largest body of a job
PART = 8 * MB  # … of a part of a batch
YAML = 256 * 1024 // DIVISOR  # characters of a feature's file
HELD_S = 0.25  # that no other thread may have to wait
TOOK_S = 10.0  # that no text may take in all
TRIES = 3
"""A hold shows in every try; a neighbour on the machine does not."""
TICK_S = 0.005

ACCENTS = "\u0301\u0327"  # in this order, so that normalising has to move each
Row = Callable[[], object]


def main() -> None:
    """Print, by the row's name, the longest hold and the time in all, in seconds."""
    folded("é")  # patterns and libraries that are made once
    parse_feature(INVOICE)
    check(_feature(rule="output.total >= 0.0"), {"text": "1"}, '{"total": 1}')
    table = rows()
    gc.freeze()  # or the collector would look at the whole table in the middle of a row
    json.dump({name: _measured(row) for name, row in table.items()}, sys.stdout)


def rows() -> dict[str, Row]:
    """By name; a check's or a comparison's begins with its kind."""
    return _texts() | _json() | _checks() | _comparisons() | _features() | _doors()


def _texts() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, text in {
        "marks": "a" + ACCENTS * (MB // 4),
        "wide marks": "a" + "\uff9e\u0327" * (MB // 5),
        "marks beyond the basic plane": "a" + "\U0001d165\u0301" * (MB // 6),
        "ligatures": "\ufdfa" * (MB // 3),
        "one letter": "é" * (MB // 2),
        "syllables": "\u1112\u1161\u11ab" * (MB // 9),
    }.items():
        rows[f"folded: {name}"] = partial(folded, text)
    rows["signals of a text"] = partial(text_signals, "a" + ACCENTS * (MB // 4))
    rows["input between tags"] = partial(as_data, {"text": "<input-" + "9" * MB + ">"})
    rows["input between tags that are taken"] = partial(
        as_data, {"text": "".join(f"<input-{one}>" for one in range(MB // 15))}
    )
    return rows


def _json() -> dict[str, Row]:
    bodies = {
        "lists": "[" + "[]," * (MB // 3 - 2) + "1]",
        "objects": "[" + "{}," * (MB // 3 - 2) + "1]",
        "names": "{" + ",".join(f'"{one}":1' for one in range(MB // 11)) + "}",
        "integers that end badly": "[" + "1," * (MB // 2 - 2) + "x",
        "brackets": "[" * MB,
        "digits": "1" * MB,
        "blanks": " " * MB,
        "a part of lists": "[" + "[]," * (PART // 3 - 2) + "1]",
        "a part of names": "{" + ",".join(f'"{one}":1' for one in range(PART // 12)) + "}",
        "a part of integers": "[" + "1," * (PART // 2 - 2) + "1]",
    }
    rows: dict[str, Row] = {f"JSON: {name}": partial(parse_json, b) for name, b in bodies.items()}
    answers = {
        "values": "{} " * (MB // 3),
        "fences": "```" * (MB // 3),
        "blanks in a fence": "```json" + " " * MB + "```",
        "starts": '{"a' * (MB // 3),
        "braces that are none": "{ " * (MB // 2),
        "one long value twice": ("[" + "1," * (MB // 4 - 4) + "1] ") * 2,
    }
    rows |= {f"repair: {name}": partial(read_answer, text) for name, text in answers.items()}
    rows["canonical JSON"] = partial(canonical_json, {str(one): [one] for one in range(MB // 16)})
    return rows


def _checks() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, text in {
        "a value in 50,000 codes": "1-" * 50_000,
        "marks": "a" + ACCENTS * (MB // 4),
        "ligatures": "\ufdfa" * (MB // 3),
        "numbers": "1 " * (MB // 4),
        "days": "1 march" + " de " * (MB // 4),
        "blanks": "1" + " " * MB,
        "one letter": "a" * MB,
    }.items():
        values = ["1"] * 500 + ["1" * size for size in range(1, 200)] + ["2026-03-01", "a b", "x€"]
        rows[f"grounded: {name}"] = partial(_judged, _feature("values[]"), text, values)
    many = {"texts": [f"{one:x}" for one in range(MB // 8)]}
    rows["grounded: many short texts"] = partial(
        check, _feature("values[]"), many, json.dumps({"values": ["zz", 5] * 5_000})
    )
    rows["grounded: the values of a long answer"] = partial(
        _judged, _feature("values[]"), "a", [f"{one:x}" for one in range(MB // 9)]
    )
    rows["grounded: shown"] = partial(
        marks, _feature("values[]"), {"text": "1-" * 50_000}, json.dumps({"values": ["1"] * 500})
    )
    rules = {
        "each with each": "output.values.all(a, output.values.all(b, a <= b || a > b))",
        "lists of lists": "size(output.values.map(a, output.values.map(b, b))) > 0",
        "an object read again": "output.values.all(a, size(input.o) > 0)",
        "a pattern": "input.text.matches('^(a+)+$') || true",
        "a search": "output.values.all(a, input.text.contains('b') || true)",
        "all that there is": "input == input",
    }
    given = {"text": "a" * (MB // 2) + "b", "o": {str(one): [one] for one in range(MB // 32)}}
    for name, text in rules.items():
        for size in (100, 300, 1_000):
            answer = json.dumps({"values": list(range(size))})
            rows[f"rule: {name}, {size}"] = partial(check, _feature(rule=text), given, answer)
    small = {"text": "a", "o": {str(one): [one] for one in range(1_000)}}
    text = rules["an object read again"]
    answer = json.dumps({"values": list(range(500))})
    rows["rule: a small object read again"] = partial(check, _feature(rule=text), small, answer)
    rows |= _schemas() | _listed()
    rows["numbers"] = partial(numbers_in, "1-" * (MB // 8), Work(10**9))
    rows["numbers: none"] = partial(numbers_in, "a- " * (PART // 12), Work(10**9))
    for name, text in {
        "names": "1. , - de march " * (MB // 16),
        "names beside gaps": ("1" + " , - de " * 3 + "mar" + " , - de " * 3) * (MB // 52),
        "one name": "mar " * (MB // 4),
        "figures": "1-1-1-" * (MB // 6),
        "halves": "1/1 " * (MB // 4),
        "eight digits": "25032018 " * (MB // 9),
        "none": "a" * MB,
    }.items():
        rows[f"dates: {name}"] = partial(dates_in, text, Work(10**9))
    for name, text in {
        "phones": "tel 1" + "1" * 24,
        "no phones": "tel: +",
        "areas": "(012) 345 ",
        "streets": "1 a b ",
        "street names": "jalan a b c ",
        "words": "a" * 30 + " ",
        "times": "10:45 ",
    }.items():
        rows[f"no amounts: {name}"] = partial(
            without_others, text * (MB // len(text)), Dates(), Work(10**9)
        )
    rows["signals"] = partial(
        signals_of, {"text": "1-" * 49_000}, {"v": ["1" * n for n in range(1, 6)]}, repaired=False
    )
    rows["case"] = partial(
        case_fault,
        Case({}, "equal", None, expected=["a"] * (MB // 5)),
        {"status": "completed", "unverified": False, "error": None, "output": ["b"] * (MB // 5)},
    )
    rows["agreement"] = partial(agreement, [[one] * (MB // 4) for one in range(5)])
    labels = closed_set({"enum": [f"label {one}" for one in range(20_000)]})
    assert labels is not None
    rows["labels: very many"] = partial(indistinct, labels)
    few = closed_set({"enum": ["bug", "question"]})
    assert few is not None
    tokens = [TokenLogprob("a" + ACCENTS * 5_000, -1.0)] * 500
    rows["labels: long tokens"] = partial(score, few, tokens, tokens)
    return rows


def _listed() -> dict[str, Row]:
    feature = _feature()
    one_of = Check("one_of", allowed={"values[]": tuple(f"v{one}" for one in range(1_000))})
    matches = Check("matches", patterns={"values[]": "(a+)+b|\\w{1,50}"})
    custom = Check("custom", custom="none")
    adding = Check("rule", rule="sum(output.values) >= 0.0 && max(output.values) < 9.0")
    long = json.dumps({"values": ["a" * (MB // 2), "b" * (MB // 2)]})
    many = json.dumps({"values": ["v1"] * (MB // 8)})
    numbers = json.dumps({"values": [1] * 40_000})
    return {
        "one_of: long texts": partial(check, replace(feature, checks=(one_of,)), {}, long),
        "one_of: many": partial(check, replace(feature, checks=(one_of,)), {}, many),
        "matches: long texts": partial(check, replace(feature, checks=(matches,)), {}, long),
        "matches: many": partial(check, replace(feature, checks=(matches,)), {}, many),
        "custom: not made here": partial(check, replace(feature, checks=(custom,)), {}, long),
        "rule: a sum": partial(check, replace(feature, checks=(adding,)), {}, numbers),
    }


def _schemas() -> dict[str, Row]:
    looks = {"type": "string", "pattern": "(?!x)(a+)+$"}
    again = {"$ref": "#/$defs/node"}
    node = {"anyOf": [{"type": "null"}, {"properties": {"c": again}}, {"properties": {"c": again}}]}
    twice = {"allOf": [{"properties": {"c": again}}, {"properties": {"c": again}}]}
    chain: Any = 5
    for _ in range(60):
        chain = {"c": chain}
    short = chain
    for _ in range(46):
        short = short["c"]
    objects = {"type": "array", "items": {"type": "object", "required": ["x"]}}
    choice = {"type": "array", "items": {"anyOf": [{"maxLength": 2}, {"type": "integer"}]}}
    cases: dict[str, tuple[dict[str, Any], Any]] = {
        "a pattern that looks around": (looks, "a" * MB + "b"),
        "such a pattern, as long as it may be": (looks, "a" * 3_000),
        "such a pattern, often": ({"items": looks}, ["a" * 300 + "b"] * 1_000),
        "such a pattern for names": (
            {"patternProperties": {"(?!x)(a+)+$": {}}},
            {"a" * MB + "b": 1},
        ),
        "a plain pattern": ({"pattern": "^(a+)+$"}, "a" * MB + "b"),
        "faults": (objects, [{}] * (MB // 3)),
        "choices": (choice, ["aaa"] * (MB // 6)),
        "names": ({"additionalProperties": False}, {str(one): 1 for one in range(MB // 11)}),
        "the same twice": ({"uniqueItems": True}, [[one] for one in range(MB // 9)]),
        "itself twice": ({**again, "$defs": {"node": node}}, chain),
        "itself twice for all": ({**again, "$defs": {"node": twice}}, chain),
        "itself twice, not so deep": ({**again, "$defs": {"node": node}}, short),
        "formats": ({"format": "idn-hostname"}, "é" * (MB // 2)),
    }
    return {
        f"schema: {name}": partial(SchemaCheck(schema).faults, value)
        for name, (schema, value) in cases.items()
    }


def _comparisons() -> dict[str, Row]:
    numbers = [float(one) for one in range(MB // 8)]
    accents = ["a" + ACCENTS * 1_000 + str(one) for one in range(250)]
    fields = {f"f{one}": Comparison("normalised") for one in range(100)}
    text = dict.fromkeys(fields, "a" + ACCENTS * 2_000)
    return {
        "comparison: exact": partial(Comparison().same, numbers, numbers),
        "comparison: normalised": partial(Comparison("normalised").same, accents, accents[::-1]),
        "comparison: numeric": partial(Comparison("numeric").same, "1" * MB, "2" * MB),
        "comparison: set": partial(Comparison("set").same, numbers, numbers[::-1]),
        "comparison: set of numbers": partial(
            Comparison("set", items="numeric").same, numbers, [one + 0.1 for one in numbers]
        ),
        "comparison: set of texts": partial(
            Comparison("set", items="normalised").same, accents, accents[::-1]
        ),
        "comparison: fields": partial(Comparison("fields", fields=fields).same, text, text),
        "comparison: judge": partial(Comparison("judge").same, accents, accents[::-1]),
    }


def _features() -> dict[str, Row]:
    bomb = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 5)}]" for n in range(1, 12))
    files = {
        "20,000 deep": "[" * 20_000,
        "20,000 deep in blocks": "- " * 20_000,
        "20,000 flow maps": "[" + "{}," * 20_000 + "]",
        "aliases": f"a0: &a0 [x]\n{bomb}",
        "unknown keys": "".join(f"k{one}: 1\n" for one in range(4_000)),
        "a long key": "k" * (YAML - 4) + ": 1",
        "one key again": "a: 1\n" * 3_000,
        "marks": "a: a" + ACCENTS * (YAML // 4),
        "digits": "a: " + "1" * (YAML - 4),
    }
    schemas: dict[str, dict[str, Any]] = {
        "faults": {"properties": {f"k{one}": 5 for one in range(8_000)}},
        "kinds that are none": {"properties": {f"k{n}": {"type": "x"} for n in range(4_000)}},
        "references": {"allOf": [{"$ref": "x"}] * 4_000},
        "patterns": {"properties": {f"k{n}": {"pattern": f"(?!{n})a"} for n in range(2_000)}},
        "groups": {"pattern": "(" * 5_000 + ")" * 5_000},
        "repeats": {"pattern": "\\w{1,400}" * 100},
    }
    rows: dict[str, Row] = {
        f"schema's form: {n}": partial(schema_faults, s) for n, s in schemas.items()
    }
    for name, text in files.items():
        if name in {"20,000 deep", "unknown keys", "a long key"}:  # which go beyond the YAML
            rows[f"feature: {name}"] = partial(parse_feature, text)
        else:
            rows[f"YAML: {name}"] = partial(read_yaml, text, "f")
    return rows


def _doors() -> dict[str, Row]:
    submission = {"feature": "f", "input": {}}
    unknown = {f"unknown field {one}": 1 for one in range(MB // 28)}
    row = json.dumps({"input": {"text": "a"}, **{f"k{one}": 1 for one in range(MB // 12)}})
    lines = "\n".join([row, "[" + "[]," * (PART // 4) + "1]", '{"input": {}}' * 2])
    return {
        "job: unknown fields": partial(read_submission, submission | unknown),
        "job: a long field": partial(read_submission, submission | {"metadat" * (MB // 7): 1}),
        "job: a long address": partial(
            read_submission, submission | {"webhook_url": "https://" + "a." * MB}
        ),
        "rows of a part": partial(read_rows, _feature(), lines.encode()),
        "address": partial(check_url, "https://" + "é" * (MB // 2)),
    }


def _feature(field: str | None = None, rule: str | None = None) -> Feature:
    checks = []
    if field is not None:
        checks.append(Check("grounded", fields=(field,)))
    if rule is not None:
        checks.append(Check("rule", rule=rule))
    feature = parse_feature(INVOICE)
    return replace(feature, input_schema={}, output_schema={"type": "object"}, checks=tuple(checks))


def _judged(feature: Feature, text: str, values: list[str]) -> object:
    return check(feature, {"text": text}, json.dumps({"values": values}))


def _measured(row: Row) -> tuple[float, float]:
    """The longest hold and the whole time of the best of a few tries, in seconds."""
    best = (float("inf"), float("inf"))
    for _ in range(TRIES):
        best = min(best, _tried(row))
        if best[0] < HELD_S:
            break
    return best


def _tried(row: Row) -> tuple[float, float]:
    spent_s = _clock()
    ended = threading.Event()
    ready = threading.Event()
    holds = [0.0]

    def tick() -> None:
        last = spent_s()
        ready.set()
        while not ended.is_set():
            time.sleep(TICK_S)
            now = spent_s()
            holds.append(now - last)
            last = now

    ticking = threading.Thread(target=tick)
    ticking.start()
    ready.wait()
    begun = spent_s()
    try:
        with suppress(TierlineError):  # a clear refusal; anything else ends the run
            row()
        took_s = spent_s() - begun
    finally:
        ended.set()
        ticking.join()
    return max(holds), took_s


def _clock() -> Callable[[], float]:
    """The processor time of this thread, for another to read; where the system does not tell it
    (macOS), the time that went by.
    """
    of_thread = getattr(time, "pthread_getcpuclockid", None)
    if of_thread is None:
        return time.monotonic
    return partial(time.clock_gettime, of_thread(threading.get_ident()))


if __name__ == "__main__":
    main()
