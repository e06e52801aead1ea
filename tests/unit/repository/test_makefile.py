"""What the targets of the Makefile install before they run."""

import re

from tests.support.processes.started import ROOT

NOT_FOR_TESTS = {"docs"}  # `make docs` alone uses it


def test_make_nightly_installs_everything_that_a_nightly_test_would_be_skipped_without() -> None:
    makefile = (ROOT / "Makefile").read_text()
    environments = set(re.findall(r"^\$\(VENV\)/(\w+)/\.ready:", makefile, re.MULTILINE))
    nightly = re.search(r"^nightly: (.*)$", makefile, re.MULTILINE)
    assert nightly is not None
    installed = set(re.findall(r"\$\(VENV\)/(\w+)/\.ready", nightly[1]))
    assert installed == environments - NOT_FOR_TESTS
