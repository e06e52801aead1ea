"""Rules: CEL over `input` and `output` (cel.dev), true if the answer is good, with the functions of
`rule_functions`.

JSON numbers are doubles in CEL, so arithmetic needs `1.0`, not `1`; comparisons accept either. The
evaluator runs inside this process and cannot be stopped, so its cost is bounded when the feature is
applied: length, nesting, at most one macro inside another, arrays of at most MAX_ITEMS wherever a
macro is used, literal patterns only. It is bounded again at run time by the sizes of the values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON
from tierline.checks import rule_functions
from tierline.checks.rule_costs import (
    CONTEXT_STEPS,
    ELEMENT,
    MACROS,
    MAX_PATTERN,
    MAX_STEPS,
    STEP_US,
    Cost,
    Token,
    cost_of,
    opens_macro,
)
from tierline.checks.work import TooMuch

if TYPE_CHECKING:
    import cel

Path = tuple[str | int, ...]

MAX_RULE = 1000  # characters
MAX_NESTING = 16  # nested brackets; the parser recurses
MAX_ITEMS = 1000  # of an array or object that a macro iterates over
ROOTS = frozenset({"input", "output"})
FUNCTIONS = MACROS | {
    *rule_functions.FUNCTIONS,
    *("has", "size", "contains", "startsWith", "endsWith", "matches"),
    *("int", "uint", "double", "string", "bytes", "type", "dyn", "timestamp", "duration"),
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
}

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
    |(?P<string>[bBrR]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>\d[\w.]*)
    |(?P<space>\s+)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class RuleBroken(TierlineError):
    """A rule that cannot be evaluated. That is the feature's fault and no verdict on the answer."""


@dataclass(frozen=True)
class _Shape:
    """What a rule's text shows without evaluating it."""

    deepest: int  # depth of nested brackets
    macros: int
    nested_macros: int  # macros inside another macro's body
    bound: frozenset[str]  # names that macros bind
    roots: frozenset[str]  # which of ROOTS it reads
    cost: Cost


@dataclass(frozen=True)
class Rule:
    """One compiled rule. Thread-safe."""

    text: str
    shape: _Shape
    program: "cel.Program"

    def holds(self, input: JSON, output: JSON) -> bool:
        """Whether the rule is true. Raises RuleBroken if it errors or gives no boolean, TooMuch if
        the values that it would read are too large.
        """
        given = {"input": input, "output": output}
        context = {root: given[root] for root in sorted(self.shape.roots)}
        self._guard(context)
        errors: list[str] = []
        result: object = None
        try:
            result = self.program.execute(_environment(context, errors))
        except Exception as error:
            errors.append(_why(error))
        if errors:
            raise RuleBroken(f"the rule {self.text!r} cannot be evaluated: {errors[0]}")
        if not isinstance(result, bool):
            raise RuleBroken(
                f"the rule {self.text!r} gives {type(result).__name__}; it must give true or false"
            )
        return result

    def _guard(self, context: dict[str, JSON]) -> None:
        items = characters = values = 0
        sizes: dict[str, int] = {}
        for root, value in context.items():
            root_items, root_characters, root_values = _longest(value)
            values += root_values
            if values * CONTEXT_STEPS > MAX_STEPS:
                raise TooMuch(
                    f"the rule {self.text!r} would read more than "
                    f"{MAX_STEPS // CONTEXT_STEPS:,} values; bound arrays with maxItems"
                )
            if self.shape.macros and root_items > MAX_ITEMS:
                raise TooMuch(
                    f"the rule {self.text!r} would iterate over more than {MAX_ITEMS} items of "
                    f"{root}; bound its arrays with maxItems"
                )
            items, characters = max(items, root_items), max(characters, root_characters)
            _count(value, sizes)
        steps = values * CONTEXT_STEPS + self.shape.cost.steps(items, characters, sizes)
        if steps > MAX_STEPS:
            raise TooMuch(
                f"the rule {self.text!r} would take too long over {items} items and texts of "
                f"{characters} characters; bound arrays with maxItems and texts with maxLength"
            )


def _environment(context: dict[str, JSON], errors: list[str]) -> "cel.Context":
    """One evaluation's values and functions. The library's contexts are not thread-safe."""
    import cel

    environment = cel.Context()
    for root, value in context.items():
        environment.add_variable(root, as_doubles(value))
    for name, function in rule_functions.FUNCTIONS.items():
        environment.add_function(name, _recorded(name, function, errors))
    return environment


def _recorded(
    name: str, function: rule_functions.Function, errors: list[str]
) -> rule_functions.Function:
    """The function, which records an error and goes on: the library prints exceptions to stderr."""

    def call(*values: object) -> object:
        try:
            return function(*values)
        except ValueError as error:
            errors.append(str(error))
        except TypeError:
            errors.append(f"{name} does not take {len(values)} values")
        return None

    return call


def compile_rule(text: str) -> Rule:
    """The compiled rule. Raises RuleBroken, which says what to change."""
    import cel  # it imports a command line: a tenth of a second that processes without rules save

    if len(text) > MAX_RULE:
        raise RuleBroken(f"a rule has at most {MAX_RULE} characters")
    shape = _shape(text)
    if shape.deepest > MAX_NESTING:
        raise RuleBroken(f"brackets are nested more than {MAX_NESTING} deep")
    if shape.nested_macros > 1:
        raise RuleBroken("at most one macro (all, exists, map, filter …) may be inside another")
    try:
        program = cel.compile(text)
    except Exception as error:
        raise RuleBroken(f"not a CEL expression: {_why(error)}") from None
    unknown = sorted(set(program.variables()) - ROOTS - shape.bound)
    if unknown:
        raise RuleBroken(f"reads {', '.join(unknown)}; a rule sees only input and output")
    foreign = sorted(
        name for name in program.functions() if name.isidentifier() and name not in FUNCTIONS
    )
    if foreign:
        raise RuleBroken(f"calls {', '.join(foreign)}, which CEL does not have")
    if shape.cost.unfixed_pattern:
        raise RuleBroken("matches(…) takes one argument, a pattern written as a literal string")
    if shape.cost.pattern_us / STEP_US > MAX_PATTERN:
        raise RuleBroken(
            "its pattern takes too long to prepare: repeat less, and write [A-Za-z0-9_] for \\w"
        )
    if not shape.roots:
        raise RuleBroken("reads neither input nor output, so its result is always the same")
    return Rule(text, shape, program)


@lru_cache(maxsize=1024)
def rule(text: str) -> Rule:
    """`compile_rule`, cached for recently used rules."""
    return compile_rule(text)


def unbounded_arrays(schema: JSON, path: Path = ()) -> Iterator[Path]:
    """Where a schema allows an array of more than MAX_ITEMS; paths are paths in the schema."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from unbounded_arrays(item, (*path, index))
    if not isinstance(schema, dict):
        return
    types = schema.get("type", ())
    is_array = types == "array" or (isinstance(types, list) and "array" in types)
    if (is_array or "items" in schema) and not schema.get("maxItems", MAX_ITEMS + 1) <= MAX_ITEMS:
        yield path
    for name, item in schema.items():
        if name == "properties" and isinstance(item, dict):
            for field, below in item.items():
                yield from unbounded_arrays(below, (*path, name, field))
        elif name not in ("enum", "const", "default", "examples"):
            yield from unbounded_arrays(item, (*path, name))


def most_items(schema: JSON) -> int:
    """The largest maxItems anywhere in a schema; 0 without any."""
    most, rest = 0, [schema]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            bound = item.get("maxItems")
            if isinstance(bound, int | float) and not isinstance(bound, bool):
                most = max(most, int(bound))
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
    return most


def as_doubles(value: JSON) -> JSON:
    """The value with every number a float, as CEL has JSON (cel-spec, JSON conversion)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) < 2**1023 else float("inf")
    if isinstance(value, dict):
        return {name: as_doubles(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return value


def tokens_of(text: str) -> list[Token]:
    """The tokens of a rule's text, without white space and comments."""
    return [
        (str(match.lastgroup), match.group())
        for match in _TOKEN.finditer(text)
        if match.lastgroup not in ("space", "comment")
    ]


def _shape(text: str) -> _Shape:
    tokens = tokens_of(text)
    bound: set[str] = set()
    roots: set[str] = set()
    stack: list[bool] = []  # for each open bracket: whether a macro opened it
    deepest = macros = nested = 0
    for index, (kind, lexeme) in enumerate(tokens):
        if kind == "mark" and lexeme in "([{":
            macro = lexeme == "(" and opens_macro(tokens, index)
            if macro:
                macros += 1
                nested += any(stack)
                bound.update(name for what, name in tokens[index + 1 : index + 2] if what == "name")
            stack.append(macro)
            deepest = max(deepest, len(stack))
        elif kind == "mark" and lexeme in ")]}" and stack:
            stack.pop()
        elif kind == "name" and lexeme in ROOTS:
            roots.add(lexeme)
    return _Shape(deepest, macros, nested, frozenset(bound), frozenset(roots), cost_of(tokens))


def _longest(value: JSON) -> tuple[int, int, int]:
    """The size of the largest array or object, the length of the longest text, and the number of
    all values.
    """
    items, characters, values, rest = 0, 0, 0, [value]
    while rest:
        item = rest.pop()
        values += 1
        if isinstance(item, str):
            characters = max(characters, len(item))
        elif isinstance(item, dict | list):
            items = max(items, len(item))
            rest.extend(item.values() if isinstance(item, dict) else item)
    return items, characters, values


def _count(value: JSON, sizes: dict[str, int]) -> int:
    """The number of values in a value, itself included. Sizes that `Cost.steps` needs are written
    to `sizes`. JSON here is at most some hundred levels deep.
    """
    if isinstance(value, dict):
        size = 1
        for name, item in value.items():
            inside = _count(item, sizes)
            if inside > 1:
                sizes[name] = max(sizes.get(name, 0), inside)
            size += inside
        return size
    if isinstance(value, list):
        counts = [_count(item, sizes) for item in value]
        most = max(counts, default=0)
        if most > 1:
            sizes[ELEMENT] = max(sizes.get(ELEMENT, 0), most)
        return 1 + sum(counts)
    return 1


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error}; test with has(...) first"
    text = str(error).partition("ERROR: ")[2] or str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    message = lines[0].replace("<input>:1:", "column ") if lines else type(error).__name__
    return message.partition(" expecting {")[0][:200]
