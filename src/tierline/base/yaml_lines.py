"""YAML as JSON values with line numbers, so that a problem can name its line.

YAML 1.2 with the core schema (yaml.org/spec/1.2.2, 10.3): `no` and `off` are words, a date is a
string, `010` is ten. Anything that JSON cannot express is refused: NaN, keys that are not text,
duplicate keys, custom tags, several documents. Aliases are allowed and counted, so that a small
file cannot expand without limit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tierline.base.errors import FeatureError, Problem
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, MAX_DEPTH, short

MAX_CHARS = 256 * 1024  # a feature with long examples is about 20 KB
MAX_NODES = 50_000  # keys and values; aliases count each time they are used

Path = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PATHS = re.compile(
    r"(?<![\w\]])[A-Za-z_][\w-]{0,99}(?:\.[\w-]{1,100}){0,20}\[\](?:\[\]|\.[\w-]{1,100}){0,20}"
)
_BRACKETS = "\ue0f0\ue0f1"  # for private use: in no file
_MAX_DIGITS = 300  # beyond what a double can hold


@dataclass(frozen=True)
class Document:
    """A file's value, and the line (from 1) of each key and item."""

    value: JSON
    lines: Mapping[Path, int]

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the node at `path`, or of the nearest node around it."""
        here = tuple(path)
        while here not in self.lines:
            here = here[:-1]
        return self.lines[here]


@dataclass
class _Reading:
    source: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)
    open_nodes: set[int] = field(default_factory=set)  # the nodes around the present one, by id
    nodes: int = 0

    def problem(self, message: str, node: Node, path: Path) -> None:
        self.problems.append(Problem(message, pointer(path), line_of(node), self.source))


class _TooLarge(Exception):
    pass


class _TooDeep(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


class _Composer(Composer):
    """The library's composer, which is recursive; here nesting is limited."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH + 1:
            raise _TooDeep(int(self.parser.peek_event().start_mark.line) + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_yaml(text: str, source: str) -> Document:
    """The one document of `text`. Raises FeatureError with every problem."""
    if len(text) > MAX_CHARS:
        raise FeatureError([Problem(f"longer than {MAX_CHARS:,} characters", source=source)])
    root = compose_yaml(text, source)
    reading = _Reading(source, lines={(): line_of(root)})
    try:
        value = _value(root, (), reading)
    except _TooLarge:
        message = f"contains more than {MAX_NODES:,} keys and values once aliases are expanded"
        raise FeatureError([Problem(message, source=source)]) from None
    if reading.problems:
        raise FeatureError(reading.problems)
    return Document(value, reading.lines)


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def compose_yaml(text: str, source: str) -> Node:
    """The nodes of the one document of `text`, with their positions. Raises FeatureError."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        root = _compose(yaml, text)
    except _TooDeep as deep:
        reason = f"nested deeper than {MAX_DEPTH} levels"
        raise FeatureError([Problem(reason, line=deep.line, source=source)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = int(mark.line) + 1 if mark is not None else None
        reason = error.problem or error.context or "cannot be read"
        raise FeatureError([Problem(f"not YAML: {reason}", line=line, source=source)]) from None
    except YAMLError as error:
        position = getattr(error, "position", None)
        line = None if position is None else text.count("\n", 0, position) + 1
        reason = getattr(error, "reason", "cannot be read")
        raise FeatureError([Problem(f"not YAML: {reason}", line=line, source=source)]) from None
    except (RecursionError, ValueError):  # ValueError: an escape beyond Unicode
        raise FeatureError([Problem("not YAML: cannot be read", source=source)]) from None
    if root is None:
        raise FeatureError([Problem("the file is empty", line=1, source=source)])
    assert isinstance(root, Node)
    return root


def _compose(yaml: YAML, text: str) -> Any:
    """The nodes. A path such as items[].sku is read in a list in brackets without quotes too.

    There the brackets are not YAML. So if the text cannot be read, they are read as characters of
    the same number, which keeps every position.
    """
    try:
        return yaml.compose(text)
    except MarkedYAMLError:
        marked = _PATHS.sub(lambda match: match.group().replace("[]", _BRACKETS), text)
        if marked == text or _BRACKETS in text:
            raise
        again = YAML(typ="safe", pure=True)
        again.Composer = _Composer
        try:
            root = again.compose(marked)
        except MarkedYAMLError:
            root = None
        if root is None:
            raise
        _restore(root)
        return root


def _restore(root: Node) -> None:
    """Give every text its brackets back."""
    rest: list[Node] = [root]
    seen: set[int] = set()
    while rest:
        node = rest.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode):
            node.value = node.value.replace(_BRACKETS, "[]")
        elif isinstance(node, MappingNode):
            rest.extend(one for pair in node.value for one in pair)
        elif isinstance(node, SequenceNode):
            rest.extend(node.value)


def _value(node: Node, path: Path, reading: _Reading) -> JSON:
    reading.nodes += 1
    if reading.nodes > MAX_NODES:
        raise _TooLarge
    if isinstance(node, ScalarNode):
        return _scalar(node, path, reading)
    if id(node) in reading.open_nodes:
        reading.problem("an alias is inside the node that it refers to", node, path)
        return None
    if len(path) >= MAX_DEPTH:
        reading.problem(f"nested deeper than {MAX_DEPTH} levels", node, path)
        return None
    reading.open_nodes.add(id(node))
    try:
        if isinstance(node, MappingNode):
            return _mapping(node, path, reading)
        return _sequence(node, path, reading)
    finally:
        reading.open_nodes.discard(id(node))


def _sequence(node: Node, path: Path, reading: _Reading) -> JSON:
    assert isinstance(node, SequenceNode)
    if node.tag != _CORE + "seq":
        reading.problem(f"the tag {node.tag} is not supported", node, path)
    items = []
    for index, item in enumerate(node.value):
        below = (*path, index)
        reading.lines[below] = line_of(item)
        items.append(_value(item, below, reading))
    return items


def _mapping(node: MappingNode, path: Path, reading: _Reading) -> JSON:
    if node.tag != _CORE + "map":
        reading.problem(f"the tag {node.tag} is not supported", node, path)
    members: dict[str, JSON] = {}
    for key_node, item in node.value:
        if not isinstance(key_node, ScalarNode):
            reading.problem("a key must be text", key_node, path)
            continue
        key = str(key_node.value)
        below = (*path, key)
        if key in members:
            first = reading.lines[below]
            reading.problem(
                f"the key {short(key)} is already given on line {first}", key_node, below
            )
            continue
        reading.lines[below] = line_of(key_node)
        members[key] = _value(item, below, reading)
        _refuse_unfit_text(key, key_node, below, reading)
    return members


def _scalar(node: ScalarNode, path: Path, reading: _Reading) -> JSON:
    text = str(node.value)
    tag = str(node.tag)
    if not tag.startswith(_CORE):
        reading.problem(f"the tag {tag} is not supported", node, path)
        return text
    if node.style not in (None, "") or tag == _CORE + "str":
        _refuse_unfit_text(text, node, path, reading)
        return text
    return _plain(text, node, path, reading)


def _plain(text: str, node: ScalarNode, path: Path, reading: _Reading) -> JSON:
    value: JSON = text
    if _NULL.fullmatch(text):
        value = None
    elif _BOOL.fullmatch(text):
        value = text.lower() == "true"
    elif _NOT_FINITE.fullmatch(text):
        reading.problem(f"{text} is not a JSON number", node, path)
    elif len(text) > _MAX_DIGITS:
        pass  # text, or a number that nothing can hold
    elif _INT.fullmatch(text):
        value = int(text)
    elif _OCTAL.fullmatch(text):
        value = int(text[2:], 8)
    elif _HEX.fullmatch(text):
        value = int(text[2:], 16)
    elif _FLOAT.fullmatch(text):
        value = float(text)
        if abs(value) == float("inf"):
            reading.problem("a number beyond the range of a double", node, path)
    return value


def _refuse_unfit_text(text: str, node: Node, path: Path, reading: _Reading) -> None:
    if "\x00" in text:
        reading.problem("contains a NUL character, which cannot be stored", node, path)
    elif any("\ud800" <= character <= "\udfff" for character in text):
        reading.problem("contains half of a surrogate pair, which is not a character", node, path)
