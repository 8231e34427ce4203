"""condor_annexd is away, dies or is told to go at the worst moment: no job is lost, no fleet is asked for twice."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import CONDOR_ANNEX, Annexes

DOWN = "the annex service does not answer"


class TestAJobThatComesWhileTheDaemonIsDown:
    def test_is_routed_and_says_so(self, pool: Pool, annexes: Annexes) -> None:
        annexes.stop_daemon()
        cluster = annexes.submit("daemon-down")
        annexes.wait_said(cluster, DOWN)
        assert [job.get("AnnexRoute") for job in pool.jobs(f"ClusterId == {cluster}")] == ["rehearsal"]

    def test_is_found_and_served_when_it_is_back(self, pool: Pool, annexes: Annexes) -> None:
        annexes.stop_daemon()
        cluster = annexes.submit("daemon-back", jobs=3)
        annexes.wait_said(cluster, DOWN)
        annexes.start_daemon()
        jobs = pool.wait_for_job(cluster)
        assert [job["MachineAttrAnnexName0"] for job in jobs] == ["daemon-back"] * 3


FAULTS = pytest.mark.parametrize(
    ("annex", "fault"),
    [("after-acting", {"then": "lose"}), ("before-acting", {"delay_s": 10})],
    ids=["after AWS has acted", "before AWS has acted"],
)


class TestEndedWhileAWSIsAskedForAFleet:
    def submit(self, annexes: Annexes, annex: str, fault: dict[str, Any]) -> int:
        """The cluster whose request is under way at AWS, and will not be answered, or only later."""
        annexes.control.fail(action="RequestSpotFleet", **fault)
        cluster = annexes.submit(annex, jobs=2)
        annexes.wait_faulted()
        if "then" in fault:
            annexes.pool.wait_for(lambda: annexes.fleets(annex), "the fleet that AWS said nothing of")
        return cluster

    @FAULTS
    def test_killed_it_asks_for_no_second_fleet_and_loses_none(
        self, pool: Pool, annexes: Annexes, annex: str, fault: dict[str, Any]
    ) -> None:
        cluster = self.submit(annexes, f"killed-{annex}", fault)
        pid = annexes.daemon_pid()
        pool.ap.run(["kill", "-KILL", str(pid)])
        jobs = pool.wait_for_job(cluster)
        assert annexes.daemon_pid() not in {0, pid}
        assert [job["MachineAttrAnnexName0"] for job in jobs] == [f"killed-{annex}"] * 2
        (fleet,) = annexes.fleets(f"killed-{annex}")
        known = pool.wait_for(lambda: annexes.of(f"killed-{annex}").get("fleets", []), "the fleet in the journal")
        assert [each["id"] for each in known] == [fleet["SpotFleetRequestId"]]

    def test_told_to_go_it_goes_at_once_and_its_next_start_picks_the_call_up(
        self, pool: Pool, annexes: Annexes
    ) -> None:
        cluster = self.submit(annexes, "told-to-go", {"delay_s": 10})
        pid = annexes.daemon_pid()
        pool.ap.run(["kill", "-TERM", str(pid)])
        began = time.monotonic()
        while annexes.daemon_lives(pid) and time.monotonic() < began + 10:
            time.sleep(0.02)
        assert time.monotonic() - began < 5  # a quiet machine takes 0.1; the answer would have taken 10
        pool.wait_for_job(cluster)
        assert len(annexes.fleets("told-to-go")) == 1


class TestAHookThatIsNotExecutable:
    """HTCondor leaves it out, and says so in the job router's log alone."""

    @pytest.fixture(autouse=True)
    def hook(self, pool: Pool) -> Iterator[str]:
        path = pool.knob("ANNEX_HOOK_TRANSLATE_JOB")
        pool.ap.run(["chmod", "a-x", path])
        yield path
        pool.ap.run(["chmod", "a+x", path])

    def test_is_named_by_lint(self, pool: Pool, hook: str) -> None:
        said = pool.ap.run([CONDOR_ANNEX, "lint"], user="alice", check=False)
        assert f"ANNEX_HOOK_TRANSLATE_JOB: error: {hook} is not executable by everybody" in said.stdout
        assert said.returncode == 1

    def test_is_named_in_the_daemons_log_when_it_starts(self, annexes: Annexes, hook: str) -> None:
        annexes.stop_daemon()
        annexes.start_daemon()
        assert f"{hook} is not executable by everybody" in annexes.log()


def test_an_access_point_that_restarts_serves_the_jobs_that_waited(pool: Pool, annexes: Annexes) -> None:
    annexes.control.settings(fill_fraction=0)
    cluster = annexes.submit("restart")
    pool.wait_for(lambda: annexes.fleets("restart"), "the fleet")
    pid = annexes.daemon_pid()
    pool.ap.run(["condor_restart"])
    pool.wait_for(lambda: not annexes.daemon_lives(pid), "the end of condor_annexd")
    pool.wait_ready()
    annexes.control.settings(fill_fraction=1)
    pool.wait_for_job(cluster)
    assert len(annexes.fleets("restart")) == 1
