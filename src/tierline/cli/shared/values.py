"""Reads the values of a command's options and arguments: ASCII digits only, and quickly.

Typer makes a pydantic model for each value. Importing pydantic takes as long as the rest of a
command that asks the API, so plain values are read here; typer reads all others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer

from tierline.base.digits import number, whole

MOST_DIGITS = 18  # of a number that is read here


def read_values(command: Any) -> None:
    """Let a command and its subcommands read values as this module says."""
    for inner in getattr(command, "commands", {}).values():
        read_values(inner)
    for parameter in command.params:
        parameter.process_value = _in_ascii(parameter.process_value, parameter)
        read_plainly(parameter)
    help_option = command.get_help_option

    def get_help_option(ctx: Any) -> Any:
        return read_plainly(help_option(ctx))

    command.get_help_option = get_help_option


def read_plainly(parameter: Any) -> Any:
    """Let a parameter read plain values without pydantic. Returns the parameter."""
    fallback = getattr(parameter, "get_runtime_param", None)
    if fallback is not None and "get_runtime_param" not in vars(parameter):
        plain = _Plain(fallback)
        parameter.get_runtime_param = lambda: plain
    return parameter


def _in_ascii(read: Callable[[Any, Any], Any], parameter: Any) -> Callable[[Any, Any], Any]:
    """Accept only ASCII digits in numbers. Typer alone accepts `1_000` too."""

    def process_value(ctx: Any, value: Any) -> Any:
        parsed = read(ctx, value)
        if isinstance(value, str) and isinstance(parsed, int | float) and type(parsed) is not bool:
            try:
                _ = whole(value) if isinstance(parsed, int) else number(value)
            except ValueError as error:
                raise typer.BadParameter(str(error), ctx=ctx, param=parameter) from None
        return parsed

    return process_value


@dataclass(frozen=True)
class _Plain:
    """Returns a plain value of the right type, and leaves all others to typer."""

    fallback: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """In the place of typer's own; `value` is a text, a default or None."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        about = param.type_descriptor
        if param.nargs == 1 and not param.multiple and about.parameter_info.parser is None:
            plain = _plain(value, about.annotation)
            if plain is not None and _is_within(plain, about.parameter_info):
                return plain
        try:
            return self.fallback().coerce(value, param=param, ctx=ctx)
        except typer.BadParameter as error:
            message = _in_our_words(error.__cause__, value)
            if message is None:
                raise
            raise typer.BadParameter(message, ctx=ctx, param=param) from None


def _in_our_words(cause: BaseException | None, value: object) -> str | None:
    """What is wrong with a number; None if it is not one of pydantic's errors about numbers."""
    about: list[dict[str, Any]] = getattr(cause, "errors", list)()
    if not about:
        return None
    least, most = (about[0].get("ctx", {}).get(name) for name in ("ge", "le"))
    wanted = {
        "int_parsing": "a whole number",
        "int_parsing_size": "a smaller whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "finite_number": "a number",
        "greater_than_equal": f"at least {least}",
        "less_than_equal": f"at most {most}",
    }.get(about[0]["type"])
    return None if wanted is None else f"must be {wanted}, not {value!r}"


def _plain(value: object, kind: object) -> str | int | float | None:
    """A text or a number of that kind; None for what typer must read."""
    if kind is str and isinstance(value, str):
        return value
    if kind is int and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) if len(value) <= MOST_DIGITS else None
    if kind is int and type(value) is int:
        return value
    if kind is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    return None


def _is_within(value: str | float, bounds: Any) -> bool:
    if isinstance(value, str):
        return True
    least, most = bounds.min, bounds.max
    return (least is None or value >= least) and (most is None or value <= most)
