"""The ids of OpenAI's objects, which are the ids of jobs with a prefix."""

from uuid import UUID

from tierline.base.errors import NotFound
from tierline.rules.openai_names import RESPONSE, openai_id

__all__ = ["CHAT", "MESSAGE", "RESPONSE", "openai_id", "read_response_id"]

MESSAGE = "msg_"
CHAT = "chatcmpl-"


def read_response_id(text: str) -> UUID:
    """The job of a response. Raises NotFound for a text that cannot be the id of one."""
    digits = text.removeprefix(RESPONSE)
    if len(digits) == 32 and text.startswith(RESPONSE):
        try:
            return UUID(hex=digits)
        except ValueError:
            pass
    raise NotFound(f"there is no response {text[:80]!r}: ids begin with {RESPONSE}")
