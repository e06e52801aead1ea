"""The ids of OpenAI's objects, which are the ids of jobs with a prefix."""

from uuid import UUID

from tierline.base.errors import NotFound

RESPONSE = "resp_"
MESSAGE = "msg_"
CHAT = "chatcmpl-"


def openai_id(prefix: str, job_id: UUID) -> str:
    """Such as resp_01975c2e7a107cc08a1f3f2b9c5d0e11."""
    return prefix + job_id.hex


def read_response_id(text: str) -> UUID:
    """The job of a response. Raises NotFound for a text that cannot be the id of one."""
    digits = text.removeprefix(RESPONSE)
    if len(digits) == 32 and text.startswith(RESPONSE):
        try:
            return UUID(hex=digits)
        except ValueError:
            pass
    raise NotFound(f"there is no response {text[:80]!r}: ids begin with {RESPONSE}")
