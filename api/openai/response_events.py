"""The events of a streamed response, in OpenAI's order and with its names.

They are derived from the events of the job, so that each has the same `sequence_number` in every
process and at every time: a stream is resumed anywhere. Event n of the job has number n + 1 here;
its first one is two (created, queued), and its end is as many as the answer needs. Numbers
grow; some are left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from api.openai.ids import MESSAGE, RESPONSE, openai_id
from api.openai.response_objects import (
    message_item,
    output_text,
    response_object,
    response_status,
    text_part,
)
from tierline.rules.job_events import ESCALATED, STARTED, AttemptFacts, JobEvent
from tierline.views.jobs.jobs import JobRow
from tierline.views.jobs.tokens import TOKENS

DEEPER_ANALYSIS = "tierline.deeper_analysis"
"""The event of ours: the job goes on to a later tier. OpenAI's clients pass it on unread."""
DELTA_CHARACTERS = 200

Event = dict[str, Any]


@dataclass(frozen=True)
class Streamed:
    """What all events of one stream need."""

    row: JobRow  # the job, at any time
    content: bool  # whether the caller may read
    background: bool = True

    def before(self, event: JobEvent) -> Event:
        """The response as it was at an event before its end."""
        started = None if event.number == 0 else event.at
        unknown: dict[str, Any] = dict.fromkeys(
            [*TOKENS, "model", "output", "error_code", "error_message", "completed_at"]
        )
        unknown |= {"escalation_reason": None, "blocked_reason": None, "own_label": ""}
        row = cast(
            JobRow,
            {
                **self.row,
                **unknown,
                "status": event.status,
                "tier": event.tier,
                "started_at": started,
                "unverified": False,
                "cost_usd": Decimal(0),
                "unknown_cost_calls": 0,
            },
        )
        return response_object(row, content=self.content, background=self.background)


def events_before_the_end(
    stream: Streamed, event: JobEvent, status_label: str | None
) -> Iterator[Event]:
    """The events for one of the job's that is not its last."""
    if event.number == 0:
        for number, name in enumerate(("response.created", "response.queued")):
            yield {"type": name, "sequence_number": number, "response": stream.before(event)}
    elif event.type == STARTED and event.attempt == 1:
        yield {
            "type": "response.in_progress",
            "sequence_number": event.number + 1,
            "response": stream.before(event),
        }
    elif event.type == ESCALATED:
        yield {
            "type": DEEPER_ANALYSIS,
            "sequence_number": event.number + 1,
            "response_id": openai_id(RESPONSE, stream.row["id"]),
            "status_label": status_label,
            "tier": event.tier,
            "reason": event.reason if stream.content else None,
        }


def events_of_the_end(
    stream: Streamed, event: JobEvent, row: JobRow, attempts: Sequence[AttemptFacts]
) -> Iterator[Event]:
    """The answer and how the response ended. `row`: the job, ended."""
    response = response_object(
        row, content=stream.content, background=stream.background, attempts=attempts
    )
    status = response_status(row)
    # OpenAI has no event for a cancelled response: its status in this one tells.
    name = "failed" if status == "cancelled" else status
    last: Event = {"type": f"response.{name}", "response": response}
    text = output_text(row) if stream.content else None
    events = [] if text is None else list(_answer_events(row, text))
    for number, one in enumerate([*events, last], event.number + 1):
        yield {**one, "sequence_number": number}


def _answer_events(row: JobRow, text: str) -> Iterator[Event]:
    item = {"output_index": 0}
    part = {**item, "item_id": openai_id(MESSAGE, row["id"]), "content_index": 0}
    whole = text_part(text)
    item_begun = message_item(row, [], "in_progress")
    yield {"type": "response.output_item.added", **item, "item": item_begun}
    yield {"type": "response.content_part.added", **part, "part": text_part("")}
    for delta in deltas(text):
        yield {"type": "response.output_text.delta", **part, "delta": delta, "logprobs": []}
    yield {"type": "response.output_text.done", **part, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **part, "part": whole}
    item_done = message_item(row, [whole], "completed")
    yield {"type": "response.output_item.done", **item, "item": item_done}


def deltas(text: str) -> Iterator[str]:
    """The checked answer in pieces of DELTA_CHARACTERS."""
    for start in range(0, len(text), DELTA_CHARACTERS):
        yield text[start : start + DELTA_CHARACTERS]
