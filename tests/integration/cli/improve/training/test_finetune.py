"""`tierline finetune`, over a provider behind loopback HTTP. No API of the product is needed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli import Ran
from tests.support.fake_servers.tuning_server import KEY, ReceivedRequest, TuningServer, job_object
from tierline.base.settings import settings
from tierline.cli import main
from tierline.cli.shared import output

MODEL = ("--model", "openai:gpt-4.1-nano-2025-04-14")
Run = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[TuningServer]:
    with TuningServer() as made:
        yield made


@pytest.fixture
def run(
    server: TuningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings.cache_clear()

    def tierline(*arguments: object) -> Ran:
        output.console.cache_clear()
        capsys.readouterr()
        code = main.run(["finetune", *(str(argument) for argument in arguments)])
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    yield tierline
    settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tuning"
    made.mkdir()
    row = '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}'
    for name, rows in (("train.jsonl", 600), ("validation.jsonl", 200), ("test.jsonl", 200)):
        (made / name).write_text((row + "\n") * rows)
    card = {"format": "openai", "files": {"train.jsonl": {"examples": 600}}}
    (made / "card.json").write_text(json.dumps(card))
    return made


def test_it_says_what_it_costs_uploads_starts_and_tells_the_tier_that_comes_out(
    run: Run, folder: Path, server: TuningServer
) -> None:
    begun = run("start", folder, *MODEL, "--usd-per-mtok", "1.50", "--yes")
    assert begun.code == 0, begun.err
    assert "600 examples, about" in begun.err
    assert "at about $" in begun.err
    assert begun.out.startswith("job ftjob-1 is queued")
    paths = [one.path for one in server.requests]
    assert paths == ["/v1/files", "/v1/files", "/v1/fine_tuning/jobs"]
    sent = {one.body["file"][0] for one in server.requests[:2]}
    assert sent == {"train.jsonl", "validation.jsonl"}  # what tests stays here
    assert "was already started" in run("start", folder, *MODEL, "--yes").err
    server.job = job_object(status="succeeded", fine_tuned_model="ft:kinds", trained_tokens=90_000)
    ended = run("status", folder, "--saves-usd-per-day", "0.05")
    assert ended.code == 0
    assert "$0.14" in ended.out
    assert "in 2.7 days" in ended.out
    assert 'models: ["openai:ft:kinds"]' in ended.out
    status = json.loads(run("status", folder, "--json").out)
    assert (status["cost_usd"], status["payback_days"]) == ("0.135", None)


def test_an_interrupted_start_goes_on_and_sends_nothing_twice(
    run: Run, folder: Path, server: TuningServer
) -> None:
    def down(request: ReceivedRequest) -> tuple[int, object] | None:
        if request.path == "/v1/fine_tuning/jobs":
            return 503, {"error": {"message": "overloaded"}}
        return None

    server.answer = down
    ran = run("start", folder, *MODEL, "--yes")
    assert (ran.code, "overloaded" in ran.err) == (1, True)
    server.answer = lambda _: None
    assert run("start", folder, *MODEL, "--yes").code == 0
    assert [one.path for one in server.requests].count("/v1/files") == 2


def test_a_refused_key_and_a_failed_training_are_told_without_the_key(
    run: Run, folder: Path, server: TuningServer
) -> None:
    server.answer = lambda _: (401, {"error": {"message": "Incorrect API key provided"}})
    ran = run("start", folder, *MODEL, "--yes")
    assert (ran.code, "refused the key" in ran.err) == (1, True)
    assert KEY not in ran.err + ran.out
    server.answer = lambda _: None
    assert run("start", folder, *MODEL, "--yes").code == 0
    server.job = job_object(status="failed", error={"code": "x", "message": "bad file"})
    ran = run("status", folder)
    assert (ran.code, "failed: bad file" in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "mistral:open-mistral-nemo", "--yes"), "is deprecated"),
        (("--model", "gpt-4.1", "--yes"), "openai:MODEL"),
        ((*MODEL,), "give --yes"),
        ((*MODEL, "--yes", "--usd-per-mtok", "0"), "it must be above 0"),
        ((*MODEL, "--yes", "--epochs", "0"), "--epochs"),
    ],
)
def test_what_cannot_be_started(
    run: Run, folder: Path, server: TuningServer, arguments: tuple[str, ...], message: str
) -> None:
    ran = run("start", folder, *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert server.requests == []


def test_a_folder_that_is_no_export_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    assert "is not an export" in run("start", tmp_path, *MODEL, "--yes").err
    assert "was not started" in run("status", folder).err
    (folder / "card.json").write_text('{"format": "trl", "files": {}}')
    assert "has the format trl" in run("start", folder, *MODEL, "--yes").err
