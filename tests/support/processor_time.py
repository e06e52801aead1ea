"""`--processor N`: the N files and tests that take most processor time.

Processor seconds stay the same on a busy machine, unlike seconds of the clock. Those of a test are
its own and those of every process below it, also of servers that go on after the test. What a
fixture takes is counted for the test that asks for it first.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import psutil
import pytest

NAME = "processor_s"


def tree_s() -> float:
    """Processor seconds so far of this process and of all below it, those that ended included."""
    me = psutil.Process()
    seconds = 0.0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
            if process.status() != psutil.STATUS_ZOMBIE:
                seconds += times.children_user + times.children_system
    return seconds


class ProcessorTime:
    """Measures each test in the process that runs it, and adds up where the results are shown."""

    def __init__(self, show: int) -> None:
        self._show = show
        self._tests: Counter[str] = Counter()
        self._beside_s = 0.0  # of processes as a whole: collecting, imports
        self._begun_s = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        self._begun_s = tree_s()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            report.user_properties.append((NAME, tree_s() - self._begun_s))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._tests[report.nodeid] = dict(report.user_properties).get(NAME, 0.0)  # type: ignore[assignment]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[NAME] = tree_s()
        else:
            self._beside_s += sum(os.times()[:2])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._beside_s += getattr(node, "workeroutput", {}).get(NAME, 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        files: Counter[str] = Counter()
        for test, seconds in self._tests.items():
            files[test.partition("::")[0]] += seconds
        terminalreporter.section("processor seconds")
        terminalreporter.line(
            f"{sum(files.values()):8.1f}  tests; {self._beside_s:.1f} with collecting and imports"
        )
        for rows in (files, self._tests):
            terminalreporter.line("")
            for name, seconds in rows.most_common(self._show):
                terminalreporter.line(f"{seconds:8.2f}  {name}")
