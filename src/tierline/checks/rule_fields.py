"""What a rule touches, held against the schemas: fields that are not there, and comparisons that
can never hold.

It reads the rule's tokens, not its meaning: `output.a.b`, `output.list[0].c`, and the names that
macros bind. What it does not understand it says nothing about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON, short
from tierline.checks.rule_costs import MACROS, Token, opens_macro
from tierline.checks.schema_paths import followed
from tierline.features.parsing.reading import near

_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_ARITHMETIC = frozenset("+-*/%")
_APPLICATORS = (
    *("allOf", "anyOf", "oneOf", "if", "not", "patternProperties", "dependentSchemas"),
    *("dependencies", "$ref", "$dynamicRef", "$recursiveRef"),
)
_KINDS = {"integer": "number", "string": "text", "boolean": "true or false", "null": "null"}


@dataclass(frozen=True)
class RuleFault:
    """One thing that is probably not meant."""

    message: str
    certain: bool  # false: the schema leaves the field open, so it may be there


@dataclass(frozen=True)
class _Operand:
    """A chain of fields or a literal, between two places in the tokens."""

    start: int
    end: int  # the first token after it
    path: str  # as the rule writes it
    kinds: frozenset[str]  # empty: not known
    literal: JSON = None
    values: tuple[JSON, ...] | None = None  # of a field with an enum


def rule_faults(tokens: Sequence[Token], schemas: Mapping[str, JSON]) -> list[RuleFault]:
    """What is probably wrong in a rule over `input` and `output` with these schemas."""
    tokens = _joined_marks(tokens)
    faults: list[RuleFault] = []
    operands: dict[int, _Operand] = {}  # by the token that they begin at
    ends: dict[int, _Operand] = {}  # by the token after them
    bound: list[tuple[int, str, JSON, JSON]] = []  # until which token, name, schema, root
    for index, (kind, lexeme) in enumerate(tokens):
        bound = [one for one in bound if one[0] > index]
        operand: _Operand | None = None
        if kind == "name" and (index == 0 or tokens[index - 1][1] != "."):
            scope = next(
                ((schema, root) for _, name, schema, root in reversed(bound) if name == lexeme),
                None,
            )
            if scope is None and lexeme in schemas:
                scope = (schemas[lexeme], schemas[lexeme])
            if scope is not None:
                operand = _chain(tokens, index, *scope, bound, faults)
            elif lexeme in ("true", "false"):
                operand = _literal(index, lexeme, "boolean", lexeme == "true")
        elif kind == "string":
            operand = _literal(index, lexeme, "string", lexeme[1:-1])
        elif kind == "number":
            operand = _literal(index, lexeme, "number", None)
        if operand is not None:
            operands[operand.start] = operand
            ends[operand.end] = operand
    for index, (kind, lexeme) in enumerate(tokens):
        if kind == "mark" and lexeme in _COMPARISONS:
            left, right = ends.get(index), operands.get(index + 1)
            if left and right and _alone(tokens, left, right):
                faults += _compared(left, right, lexeme)
    return list(dict.fromkeys(faults))


def _joined_marks(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with `=` `=` as `==`, and so on."""
    joined: list[Token] = []
    for kind, lexeme in tokens:
        before = joined[-1] if joined else ("", "")
        if kind == "mark" and lexeme == "=" and before in [("mark", one) for one in "=!<>"]:
            joined[-1] = ("mark", before[1] + "=")
        else:
            joined.append((kind, lexeme))
    return joined


def _chain(
    tokens: Sequence[Token],
    start: int,
    schema: JSON,
    root: JSON,
    bound: list[tuple[int, str, JSON, JSON]],
    faults: list[RuleFault],
) -> _Operand | None:
    """Follow .name and [index] from `start`. None if a method is called on it."""
    at, path = start + 1, tokens[start][1]
    while at < len(tokens):
        mark = tokens[at][1]
        if mark == "." and at + 1 < len(tokens) and tokens[at + 1][0] == "name":
            name = tokens[at + 1][1]
            if at + 2 < len(tokens) and tokens[at + 2][1] == "(":
                if name in MACROS and opens_macro(tokens, at + 2) and at + 3 < len(tokens):
                    items = _items(schema, root)
                    bound.append((_closing(tokens, at + 2), tokens[at + 3][1], items, root))
                return None
            schema = _member(schema, root, name, path, faults)
            path, at = f"{path}.{name}", at + 2
        elif mark == "[" and tokens[at - 1][0] in ("name", "mark"):
            closing = _closing(tokens, at)
            if closing == at + 2 and tokens[at + 1][0] == "string":
                name = tokens[at + 1][1][1:-1]
                schema = _member(schema, root, name, path, faults)
            else:
                schema = _items(schema, root)
            path, at = f"{path}[…]", closing + 1
        else:
            break
    schema = followed(schema, root)
    values = schema.get("enum") if isinstance(schema, dict) else None
    return _Operand(
        start, at, path, _kinds(schema), values=tuple(values) if isinstance(values, list) else None
    )


def _member(schema: JSON, root: JSON, name: str, path: str, faults: list[RuleFault]) -> JSON:
    schema = followed(schema, root)
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name]
    if any(key in schema for key in _APPLICATORS):
        return None
    types = schema.get("type")
    if isinstance(types, str) and types != "object":
        faults.append(RuleFault(f"{path} is {_article(types)}, so it has no {short(name)}", True))
        return None
    if not isinstance(properties, dict) or not properties:
        return None
    closed = False in (
        schema.get("additionalProperties"),
        schema.get("unevaluatedProperties"),
    )
    hint = near(name, properties)
    if closed:
        faults.append(RuleFault(f"{path} has no {short(name)}{hint}", True))
    elif "did you mean" in hint and "additionalProperties" not in schema:
        faults.append(RuleFault(f"the schema does not name {short(name)} in {path}{hint}", False))
    return None


def _items(schema: JSON, root: JSON) -> JSON:
    schema = followed(schema, root)
    if not isinstance(schema, dict) or "prefixItems" in schema:
        return None
    items = schema.get("items")
    return items if isinstance(items, dict) else None


def _closing(tokens: Sequence[Token], opened: int) -> int:
    """The place of the bracket that closes the one at `opened`."""
    depth = 0
    for index in range(opened, len(tokens)):
        kind, lexeme = tokens[index]
        depth += kind == "mark" and lexeme in "([{"
        depth -= kind == "mark" and lexeme in ")]}"
        if depth == 0:
            return index
    return len(tokens)


def _literal(index: int, lexeme: str, kind: str, value: JSON) -> _Operand:
    return _Operand(index, index + 1, lexeme[:60], frozenset({kind}), literal=value)


def _kinds(schema: JSON) -> frozenset[str]:
    """The kinds of value that a schema allows; empty if it does not say."""
    types = schema.get("type") if isinstance(schema, dict) else None
    named = [types] if isinstance(types, str) else types if isinstance(types, list) else []
    return frozenset("number" if one == "integer" else str(one) for one in named)


def _alone(tokens: Sequence[Token], left: _Operand, right: _Operand) -> bool:
    """Whether the operands are whole: `1.0 + output.a < output.b` compares a sum."""
    before = tokens[left.start - 1] if left.start else ("", "")
    after = tokens[right.end] if right.end < len(tokens) else ("", "")
    if before[0] == "mark" and before[1] in (*_ARITHMETIC, ".", "!"):
        return False
    return not (after[0] == "mark" and after[1] in (*_ARITHMETIC, ".", "(", "["))


def _compared(left: _Operand, right: _Operand, comparison: str) -> list[RuleFault]:
    if left.kinds and right.kinds and not left.kinds & right.kinds:
        return [
            RuleFault(
                f"compares {left.path} ({_kinds_text(left.kinds)}) with {right.path} "
                f"({_kinds_text(right.kinds)}): values of unlike types are never equal "
                "and have no order",
                True,
            )
        ]
    if comparison not in ("==", "!="):
        return []
    for one, other in ((left, right), (right, left)):
        if one.values is None or not isinstance(other.literal, str) or other.literal in one.values:
            continue
        words = [value for value in one.values if isinstance(value, str)]
        return [
            RuleFault(
                f"{one.path} is never {short(other.literal)}{near(other.literal, words)}", True
            )
        ]
    return []


def _kinds_text(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(_KINDS.get(kind, kind) for kind in kinds))


def _article(kind: str) -> str:
    return "true or false" if kind == "boolean" else f"a{'n' * (kind[0] in 'aio')} {kind}"
