"""Reads the feature files given to a command."""

from pathlib import Path
from typing import TYPE_CHECKING

from tierline.base.errors import FeatureError, Problem

if TYPE_CHECKING:
    from tierline.features import Feature

MAX_FILE_BYTES = 1024 * 1024  # the parser has a smaller limit, with a better message


def read_text(path: Path) -> str:
    """The file's text. Raises FeatureError if it cannot be read or is not UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise FeatureError([Problem("longer than 1 MB", source=str(path))])
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise FeatureError([Problem(error.strerror or str(error), source=str(path))]) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problem = Problem("not UTF-8: save the file as UTF-8", line=line, source=str(path))
        raise FeatureError([problem]) from None


def read_feature(path: Path) -> "Feature":
    """The feature of a file. Raises FeatureError with every problem and its line."""
    return read_with_warnings(path)[0]


def read_with_warnings(path: Path) -> tuple["Feature", list[str]]:
    """As `read_feature`, with what is allowed in the file and probably not meant, a line each."""
    from tierline.base.yaml_lines import read_yaml
    from tierline.features.parse import parse_with_warnings
    from tierline.pricing.unlisted import unlisted_models
    from tierline.providers import known_providers

    text = read_text(path)
    feature, parse_warnings = parse_with_warnings(text, str(path), known_providers())
    warnings = [(one.line or 1, one.message) for one in parse_warnings]
    warnings += unlisted_models(feature, read_yaml(text, str(path)))
    return feature, [f"line {line}: {message}" for line, message in sorted(warnings)]
