"""The local model's server on a machine that lacks what its library needs."""

import sys

import pytest

from tierline.stack import llama_server


def test_it_says_which_system_library_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # importing it fails
    monkeypatch.setenv(llama_server.KEY_VARIABLE, "secret")
    # The server installs these, and the test process must keep its own.
    monkeypatch.setattr("signal.signal", lambda *_: None)
    arguments = ["--alias", "small", "--model", "/nowhere.gguf", "--port", "1"]
    assert llama_server.main(arguments) == 2
    assert "apt-get install libgomp1" in capsys.readouterr().err
