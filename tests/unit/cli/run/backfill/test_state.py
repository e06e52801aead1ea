"""A run's state: kept by one process, found again, and its keys."""

from dataclasses import replace
from pathlib import Path

import pytest

from tierline.base.errors import UsageError
from tierline.cli.run.backfill.sources import Fingerprint
from tierline.cli.run.backfill.state import Batch, RunRequest, RunState, StateFile, state_path

REQUEST = RunRequest("/data/x.csv", "triage", "/data/o.jsonl", {"text": "body"}, "id")
STATE = RunState(REQUEST, Fingerprint("ab", "1-2"), 1, [Batch("one"), Batch("two", 7)], {"rows": 3})


def test_a_state_is_read_as_it_was_written_and_only_by_its_owner(tmp_path: Path) -> None:
    with StateFile(tmp_path / "o") as kept:
        kept.write(replace(STATE, done={"long": "x" * 999}))
        kept.write(STATE)
        assert kept.read() == STATE
    assert state_path(tmp_path / "o").stat().st_mode & 0o777 == 0o600
    with StateFile(tmp_path / "o") as kept:
        assert kept.read() == STATE


def test_a_torn_state_is_none(tmp_path: Path) -> None:
    state_path(tmp_path / "o").write_text('{"version": 1, "as')
    with StateFile(tmp_path / "o") as kept:
        assert kept.read() is None


def test_two_runs_on_one_out_are_refused(tmp_path: Path) -> None:
    with StateFile(tmp_path / "o"), pytest.raises(UsageError, match="another"):
        StateFile(tmp_path / "o")


def test_a_run_that_began_nothing_leaves_no_file(tmp_path: Path) -> None:
    with StateFile(tmp_path / "o"):
        pass
    assert not state_path(tmp_path / "o").exists()


def test_a_key_follows_from_content_options_and_which_try_it_is() -> None:
    keys = {
        REQUEST.key("ab", 0, 0),
        REQUEST.key("cd", 0, 0),
        REQUEST.key("ab", 1, 0),
        REQUEST.key("ab", 0, 1),
        replace(REQUEST, feature="other").key("ab", 0, 0),
        replace(REQUEST, mapping={"text": "b"}).key("ab", 0, 0),
        replace(REQUEST, out="/data/p").key("ab", 0, 0),
    }
    assert len(keys) == 7
    assert REQUEST.key("ab", 0, 0) == replace(REQUEST, mapping=dict(REQUEST.mapping)).key(
        "ab", 0, 0
    )


def test_a_path_that_is_not_utf_8_is_kept_and_has_a_key(tmp_path: Path) -> None:
    odd = replace(STATE, request=replace(REQUEST, file="/data/\udcff.csv"))
    with StateFile(tmp_path / "o") as kept:
        kept.write(odd)
        assert kept.read() == odd
    assert odd.request.key("ab", 0, 0) != REQUEST.key("ab", 0, 0)
