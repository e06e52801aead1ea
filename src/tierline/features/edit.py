"""Changes keys in a feature file's text and leaves the rest as its author wrote it.

Comments, order and spelling of everything else are kept. If the file's top level is written in
braces, or a key cannot be changed in the text, the whole file is written anew, without its
comments.
"""

import io
import json
import re
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from tierline.base.json_text import JSON
from tierline.base.yaml_lines import Path, compose_yaml, read_yaml

SOURCE = "feature"  # what problems call a text that came without a file name
_WORD = re.compile(r"(?!(true|false|null)$)[a-z][a-z_-]*")


def edited(source: str, changes: Mapping[Path, JSON]) -> str:
    """The text with new values at these paths; a value of None removes the key. A path leads to a
    key at the top or to an existing scalar. Raises FeatureError if the text is not YAML, KeyError
    for a path below the top that does not exist.
    """
    target = read_yaml(source, SOURCE).value
    for path, value in changes.items():
        _put(target, path, value)
    text = source
    for path, value in changes.items():
        changed = _changed(text, path, value)
        if changed is None:
            return _anew(target)
        text = changed
    return text if read_yaml(text, SOURCE).value == target else _anew(target)


def _put(document: JSON, path: Path, value: JSON) -> None:
    *above, last = path
    for part in above:
        document = document[part]
    if value is None:
        document.pop(last, None)
    elif above and last not in document:
        raise KeyError(last)
    else:
        document[last] = value


def _changed(text: str, path: Path, value: JSON) -> str | None:
    """The text with one change; None if the text cannot be changed in place."""
    root = compose_yaml(text, SOURCE)
    if not isinstance(root, MappingNode) or root.flow_style:
        return None
    node = _at(root, path)
    if node is None:
        if value is None:
            return text
        return _added(text, root, path, value) if len(path) == 1 else None
    if value is not None and _in_one_piece(node):
        return text[: node.start_mark.index] + _written(value) + text[node.end_mark.index :]
    if len(path) != 1:
        return None
    without = _removed(text, root, path)
    return without if value is None else _changed(without, path, value)


def _added(text: str, root: MappingNode, path: Path, value: JSON) -> str:
    """The text with a new line, before the tiers where routing usually is, else at the end."""
    made = f"{path[0]}: {_written(value)}\n"
    before = next((key for key, _ in root.value if key.value == "tiers"), None)
    if before is None:
        return text + ("" if text.endswith("\n") else "\n") + made
    at = before.start_mark.index
    return text[:at] + made + text[at:]


def _removed(text: str, root: MappingNode, path: Path) -> str:
    key, value = next((key, value) for key, value in root.value if key.value == path[0])
    end = text.find("\n", max(_end(value) - 1, key.end_mark.index))
    return text[: key.start_mark.index] + ("" if end < 0 else text[end + 1 :])


def _end(node: Node) -> int:
    """Where a node's text ends. A block node's own end mark is where the next node begins."""
    if _in_one_piece(node) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)


def _in_one_piece(node: Node) -> bool:
    """Whether the node's marks enclose all of its text."""
    if isinstance(node, MappingNode | SequenceNode):
        return bool(node.flow_style)
    return True


def _written(value: JSON) -> str:
    """The value in one line of YAML. Words are unquoted if nothing can misread them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _at(root: Node, path: Path) -> Node | None:
    node: Node = root
    for part in path:
        if isinstance(node, MappingNode):
            child = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
        else:
            child = None
        if child is None:
            return None
        node = child
    return node


def _anew(document: JSON) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    sink = io.StringIO()
    yaml.dump(document, sink)
    return sink.getvalue()
