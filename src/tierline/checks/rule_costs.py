"""Estimates a rule's cost from its text and the sizes of what it reads.

The CEL evaluator runs inside the process, blocks the interpreter and cannot be stopped. It compiles
a pattern each time it is evaluated. It copies a collected list for each item that is added, and it
copies whatever is read out of an object, with all its contents. Costs are in steps of a macro over
plain comparisons: about 0.35 µs on one core of 2026. The estimates are high rather than low.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.checks.rule_functions import FUNCTIONS, LISTS

Token = tuple[str, str]  # kind and text, as `rules` tokenises a rule

MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
COLLECTS = frozenset({"map", "filter"})
MAX_STEPS = 500_000  # under 0.2 s, during which no other thread of the process runs
CONTEXT_STEPS = 10  # steps for each value in a rule's context
COPIED = 0.35  # steps for each value inside something read out of an object or a list
COLLECTED = 0.15  # steps for each item already in a list when one is added
CALLED = 50.0  # steps for a call of one of our functions, which are Python
LISTED = 20.0  # steps for each item of a list that such a function reads
OPERATOR = 6.0  # tokens of a macro's body that cost a step
MAX_PATTERN = 60_000  # steps to compile one pattern once: 20 ms
STEP_US = 0.35
TEXT_A_STEP = 1_000  # characters that a search reads in one step
JOINED_A_STEP = 30  # characters that a concatenation copies, and keeps, in one step

# Microseconds that a piece of a pattern takes to compile, as measured: Unicode's tables of letters
# are long, and each repetition copies them.
_PREPARE_US = 25.0
_PIECE_US = {"w": 1_100.0, "W": 1_100.0, "p": 1_200.0, "P": 1_200.0, "b": 100.0, "B": 100.0}
_PIECE_US |= {"d": 60.0, "D": 80.0, "s": 30.0, "S": 40.0}
_ANY_US = 15.0
_PLAIN_US = 2.0
_FOLDED = 8.0  # factor for case-insensitive letters
_REPEATED = re.compile(r"\{(\d*)(?:,(\d*))?\}")


ELEMENT = "[]"
NOTHING_READ: Mapping[str, int] = {}


@dataclass(frozen=True)
class Cost:
    """The cost of a rule, as far as its text shows it."""

    by_depth: tuple[int, int]  # macros outside any other, and nested ones
    collects: tuple[int, int]  # those of them that make a list
    bodies: tuple[int, int]  # tokens inside macros, and inside nested macros
    reads: tuple[tuple[int, str], ...]  # what is read out of a value: the macro depth, and the name
    calls: tuple[tuple[int, bool], ...]  # of our functions: the macro depth, and whether on a list
    joins: int  # plus signs: each may make a list or a text longer
    pattern_us: float  # to compile its most expensive pattern once; 0 without one
    unfixed_pattern: bool  # a pattern that is not a literal, so its cost is unknown

    def steps(self, items: int, characters: int, sizes: Mapping[str, int] = NOTHING_READ) -> int:
        """An upper bound of steps for arrays and objects of `items` members and texts of
        `characters`.

        `sizes`: by name, how many values the largest member of that name contains. ELEMENT is for
        the largest one in a list, or under a name that is only known when the rule runs.
        """
        walked = items * (1 + self.joins)
        outside, inside = self.by_depth
        once, twice = (max(1.0, body / OPERATOR) for body in self.bodies)
        times = 1 + outside * walked + inside * walked**2
        walks = 1 + outside * walked * once + inside * walked**2 * twice
        collected, collected_inside = self.collects
        copied = COLLECTED * (collected * walked**2 + collected_inside * walked**3)
        copied += COPIED * sum(sizes.get(name, 0) * walked**deep for deep, name in self.reads)
        each = characters / TEXT_A_STEP + self.joins * characters / JOINED_A_STEP
        if self.pattern_us:
            each += (_PREPARE_US + self.pattern_us) / STEP_US
        called = sum(
            (CALLED + LISTED * walked * on_list) * walked**deep for deep, on_list in self.calls
        )
        return int(walks + times * each + copied + called)


def cost_of(tokens: Sequence[Token]) -> Cost:
    """The cost of a tokenised rule, without white space and comments."""
    outside = inside = 0
    bodies = [0, 0]
    collects = [0, 0]
    reads: list[tuple[int, str]] = []
    calls: list[tuple[int, bool]] = []
    patterns: list[float] = []
    unfixed = False
    stack: list[bool] = []  # for each open bracket: whether a macro opened it
    for index, (kind, lexeme) in enumerate(tokens):
        deep = min(2, sum(stack))
        bodies[0] += deep > 0
        bodies[1] += deep > 1
        if kind == "name" and index and tokens[index - 1] == ("mark", "."):
            reads.append((deep, lexeme))
        if kind != "mark":
            continue
        if lexeme in "([{":
            macro = lexeme == "(" and opens_macro(tokens, index)
            if macro and tokens[index - 1][1] in COLLECTS:
                collects[any(stack)] += 1
            if (
                lexeme == "["
                and index
                and (tokens[index - 1][0] == "name" or _closed(tokens, index))
            ):
                reads.append((deep, ELEMENT))
            inside += macro and any(stack)
            outside += macro and not any(stack)
            stack.append(macro)
            name = tokens[index - 1][1] if lexeme == "(" and index else ""
            if name in FUNCTIONS:
                calls.append((sum(stack[:-1]), name in LISTS))
            if lexeme == "(" and index and tokens[index - 1] == ("name", "matches"):
                pattern = _last_argument(tokens, index)
                unfixed = unfixed or pattern is None
                patterns.append(pattern_us(pattern or ""))
        elif lexeme in ")]}" and stack:
            stack.pop()
    joins = sum(token == ("mark", "+") for token in tokens)
    return Cost(
        (outside, inside),
        (collects[0], collects[1]),
        (bodies[0], bodies[1]),
        tuple(reads),
        tuple(calls),
        joins,
        max(patterns, default=0.0),
        unfixed,
    )


def _closed(tokens: Sequence[Token], index: int) -> bool:
    return tokens[index - 1] in (("mark", ")"), ("mark", "]"))


def opens_macro(tokens: Sequence[Token], index: int) -> bool:
    """Whether the bracket at `index` opens a macro's body."""
    return index >= 2 and tokens[index - 1][1] in MACROS and tokens[index - 2][1] == "."


def pattern_us(pattern: str) -> float:
    """Estimated time to compile a pattern, in µs: the sum of its pieces, with repetitions."""
    each = _FOLDED if re.search(r"\(\?[a-z]*i", pattern) else 1.0
    open_groups: list[float] = []
    total, last, at = 0.0, 0.0, 0
    while at < len(pattern):
        one = pattern[at]
        repeated = _REPEATED.match(pattern, at) if one == "{" else None
        if repeated is not None:
            most = max(int(number or 0) for number in (repeated[1], repeated[2] or "0"))
            total += last * max(0, most - 1)
            at = repeated.end()
            continue
        at += 1
        if one == "(":
            open_groups.append(total)
            total, last = 0.0, 0.0
            continue
        if one == ")" and open_groups:
            last, total = total, open_groups.pop() + total
            continue
        if one == "\\" and at < len(pattern):
            last = _PIECE_US.get(pattern[at], _PLAIN_US) * each
            named = pattern[at] in "pP" and pattern[at + 1 : at + 2] == "{"
            at = pattern.find("}", at) + 1 if named and "}" in pattern[at:] else at + 1
        else:
            last = (_ANY_US if one == "." else _PLAIN_US) * each
        total += last
    return total


def _last_argument(tokens: Sequence[Token], opened: int) -> str | None:
    """The text that is the whole last argument of a call; None for anything else."""
    depth = 0
    for index in range(opened, len(tokens)):
        kind, lexeme = tokens[index]
        depth += kind == "mark" and lexeme in "([{"
        depth -= kind == "mark" and lexeme in ")]}"
        if depth == 0:
            alone = tokens[index - 2] in (("mark", "("), ("mark", ","))
            before_kind, before = tokens[index - 1]
            return _unquoted(before) if alone and before_kind == "string" else None
    return None


def _unquoted(literal: str) -> str:
    """The content of a text literal. Of the escapes only the doubled backslash matters to a
    pattern.
    """
    words = literal.lstrip("bBrR")
    prefix = literal.removesuffix(words)
    words = words.strip("'\"")
    return words if "r" in prefix.lower() else words.replace("\\\\", "\\")
