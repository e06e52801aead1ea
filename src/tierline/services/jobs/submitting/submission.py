"""A job as its caller submits it: parsing the request, and naming every problem of its form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest

from tierline.base.errors import MOST_PROBLEMS, InvalidInput, Problem
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, plain_json
from tierline.base.settings import settings
from tierline.checks.schema import SchemaCheck
from tierline.features.parsing.reading import MOST_HINTS, close_to
from tierline.storage.jobs.job_reads import RequestRow
from tierline.views.jobs.jobs import JOB_FIELDS, MAX_DEADLINE_S, MAX_NAME
from tierline.webhooks.addresses import check_url

MAX_METADATA_BYTES = 16 * 1024  # metadata is for the caller's own notes, not a second input


@dataclass(frozen=True)
class Submission:
    """A caller's request with a valid form. The input is not checked yet."""

    feature: str
    input: JSON
    metadata: JSON | None = None
    webhook_url: str | None = None
    user: str | None = None
    session: str | None = None
    deadline_s: float | None = None

    @classmethod
    def of(cls, request: RequestRow) -> "Submission":
        """The submission of a job's stored request, to be submitted again."""
        return cls(
            feature=request["feature"],
            input=request["input"],
            metadata=request["metadata"],
            webhook_url=request["webhook_url"],
            user=request["user_key"],
            session=request["session_key"],
            deadline_s=request["deadline_s"],
        )


def read_submission(body: JSON) -> Submission:
    """Parse the submission in a request's body. Raises InvalidInput with all problems of form."""
    if not isinstance(body, dict):
        raise InvalidInput([Problem("a job is a JSON object")])
    problems = []
    for name in ("feature", "input"):
        if name not in body:
            problems.append(Problem("is required and missing", f"/{name}"))
    if "feature" in body and not isinstance(body["feature"], str):
        problems.append(Problem("must be the name of a feature", "/feature"))
    problems.extend(_optional_problems(body))
    unknown = body.keys() - set(JOB_FIELDS)
    if problems or unknown:
        # Problems of a job's own fields come first, because there may be thousands of others.
        named = nsmallest(MOST_PROBLEMS - len(problems), unknown)
        problems += [
            Problem(
                "is not a field of a job" + (near(name, JOB_FIELDS) if place < MOST_HINTS else ""),
                pointer((name,)),
            )
            for place, name in enumerate(named)
        ]
        problems.sort(key=lambda problem: problem.path)
        raise InvalidInput(problems, left_out=len(unknown) - len(named))
    deadline_s = body.get("deadline_s")
    return Submission(
        feature=body["feature"],
        input=body["input"],
        metadata=body.get("metadata"),
        webhook_url=body.get("webhook_url"),
        user=body.get("user"),
        session=body.get("session"),
        deadline_s=None if deadline_s is None else float(deadline_s),
    )


def metadata_problems(metadata: JSON) -> Iterable[Problem]:
    """The problems of a job's or a batch's metadata."""
    if not isinstance(metadata, dict):
        yield Problem("must be an object", "/metadata")
    elif len(plain_json(metadata).encode()) > MAX_METADATA_BYTES:
        yield Problem(f"is larger than {MAX_METADATA_BYTES:,} bytes", "/metadata")


def webhook_url_problems(url: JSON) -> Iterable[Problem]:
    """The problems of a job's or a batch's own webhook URL."""
    if not isinstance(url, str):
        yield Problem("must be a URL", "/webhook_url")
        return
    try:
        check_url(url, settings().webhook_reach)
    except InvalidInput as refused:
        yield from refused.problems


def input_problems(check: SchemaCheck, input: JSON) -> list[Problem]:
    """Why `input` does not match the schema; the paths begin with /input."""
    return [
        Problem(fault.message, pointer(("input", *fault.path))) for fault in check.faults(input)
    ]


def near(word: str, words: Iterable[str]) -> str:
    """A suggestion to append to an unknown word: the closest of `words`, or all if they are few."""
    choices = sorted(words)
    close = close_to(word, choices, most=3, cutoff=0.5)
    if close:
        return f"; did you mean {', '.join(close)}?"
    return f"; choose from {', '.join(choices)}" if len(choices) <= 12 else ""


def _optional_problems(body: Mapping[str, JSON]) -> Iterable[Problem]:
    metadata = body.get("metadata")
    if metadata is not None:
        yield from metadata_problems(metadata)
    for name in ("user", "session"):
        text = body.get(name)
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= MAX_NAME):
            yield Problem(f"must be a text of 1 to {MAX_NAME} characters", f"/{name}")
    url = body.get("webhook_url")
    if url is not None:
        yield from webhook_url_problems(url)
    deadline_s = body.get("deadline_s")
    if deadline_s is not None and not (
        isinstance(deadline_s, int | float)
        and not isinstance(deadline_s, bool)
        and 0 < deadline_s <= MAX_DEADLINE_S
    ):
        yield Problem(
            f"must be a number of seconds, over 0 and at most {MAX_DEADLINE_S:,.0f}", "/deadline_s"
        )
