"""Numbers of paths, queries and bodies: text is one only in ASCII digits, as in `tierline.digits`.

Pydantic alone would read `1_000`, ` 12 ` and, as a number, `nan`.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from tierline import digits


def _whole(value: Any) -> Any:
    return digits.whole(value) if isinstance(value, str) else value


def _real(value: Any) -> Any:
    return digits.number(value) if isinstance(value, str) else value


AsciiInt = Annotated[int, BeforeValidator(_whole)]
AsciiFloat = Annotated[float, BeforeValidator(_real)]
