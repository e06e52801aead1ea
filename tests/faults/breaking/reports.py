"""Reports that take long, of somebody who does not wait for them."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.faults.breaking import fault
from tests.faults.features import ECHO
from tests.faults.orders import ACCOUNTS
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.waiting import wait_until

AT_ONCE = 4  # as many as an API process has connections for lists
WAITED_S = 2.0  # then their caller hangs up, and asks again
ROUNDS = 2
LIST_S = 2.0  # the longest that a list of another account may take meanwhile
RUNNING = """
SELECT 1 FROM pg_stat_activity
WHERE application_name = 'tierline-api-reports' AND state = 'active'
"""


@fault("reports that hang")
def ask_for_reports(scene: Scene) -> None:
    """They wait for a table that only reports read; meanwhile other accounts list their jobs."""
    until = time.monotonic() + ROUNDS * WAITED_S
    with (
        scene.database() as stranger,
        ThreadPoolExecutor(AT_ONCE) as callers,
        stranger.transaction(),
    ):
        stranger.execute("LOCK TABLE datasets IN ACCESS EXCLUSIVE MODE")
        asked = [callers.submit(_ask, scene, until) for _ in range(AT_ONCE)]
        wait_until(lambda: scene.rows(RUNNING), PATIENCE_S, "a report to run", ROWS_EVERY_S)
        with scene.client(scene.keys[ACCOUNTS[0]]) as other:
            # A connection that broke before this is told of once.
            wait_until(lambda: other.get("/v1/jobs").is_success, LIST_S, "lists to be answered")
            while time.monotonic() < until:
                began = time.monotonic()
                listed = other.get("/v1/jobs", params={"limit": 1})
                assert listed.is_success, listed.text
                took_s = time.monotonic() - began
                assert took_s < LIST_S, f"a list took {took_s:.1f} s beside slow reports"
        for one in asked:
            one.result()
        wait_until(lambda: not scene.rows(RUNNING), LIST_S, "left reports to be gone", ROWS_EVERY_S)


def _ask(scene: Scene, until: float) -> None:
    """Ask for reports, and hang up on each, until then."""
    with scene.client(str(scene.up.line["api_key"])) as caller:
        while time.monotonic() < until:
            try:
                answer = caller.get(f"/v1/features/{ECHO}/status", timeout=WAITED_S)
            except httpx.TimeoutException:
                continue
            # 503: the maximum of reports is running, or what broke before is not over yet
            assert answer.status_code in {429, 503}, answer.text
