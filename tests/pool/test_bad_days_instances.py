"""Machines that hang, are not wanted any more, or whose lease ends: each of their three guards ends them alone."""

from typing import Any

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

HUNG = {"boot_delay_s": 100_000.0}
"""AWS starts the machine, and nothing more is ever heard of it."""


class TestMachinesThatNeverJoin:
    @pytest.fixture
    def hopeless(self, annexes: Annexes) -> int:
        """Six jobs for three machines, which all fail to fetch their bundle."""
        annexes.route(
            "hopeless",
            'TargetAnnexName == "hopeless"',
            AnnexJoinWithin="10s",
            AnnexGrowInterval="1s",
            AnnexInstanceTypes="c5.large",
        )
        annexes.control.fail(action="GetObject", error="AccessDenied", status=403, times=None)
        return annexes.submit("hopeless", jobs=6)

    def test_are_ended_and_after_three_of_them_no_more_are_launched_and_the_user_reads_why(
        self, annexes: Annexes, hopeless: int
    ) -> None:
        annexes.wait_said(hopeless, "3 machines in a row started and never joined the pool")
        assert not annexes.alive("hopeless")
        assert len(annexes.instances("hopeless")) == 3
        # What they died of stands in the status, and with it nothing that would open the bundle.
        deaths = annexes.of("hopeless")["never_joined"]
        assert {death["id"] for death in deaths} == {each["InstanceId"] for each in annexes.instances("hopeless")}
        assert all("annex: booting" in death["boot_log"] and "403" in death["console"] for death in deaths)
        assert "X-Amz" not in str(deaths)

    def test_are_ended_when_they_do_not_even_boot(self, pool: Pool, annexes: Annexes) -> None:
        annexes.route("hung", 'TargetAnnexName == "hung"', AnnexJoinWithin="10s", AnnexGrowInterval="1h")
        annexes.control.settings(**HUNG)
        annexes.submit("hung")
        pool.wait_for(lambda: annexes.alive("hung"), "the machine")
        pool.wait_for(lambda: not annexes.alive("hung"), "the end of the machine")


class TestJobsRemovedBeforeTheirMachinesCame:
    def test_leave_no_open_request_and_no_machine(self, pool: Pool, annexes: Annexes) -> None:
        annexes.control.settings(fill_delay_s=100)
        cluster = annexes.submit("removed", jobs=4)
        (fleet,) = pool.wait_for(lambda: annexes.fleets("removed"), "the fleet")
        assert annexes.open_requests(fleet)
        pool.ap.run(["condor_rm", str(cluster)])
        pool.wait_for(lambda: not annexes.open_requests(fleet), "the end of the open requests")
        annexes.control.advance(100)  # what was still open would be filled now
        assert not annexes.instances("removed")

    def test_leave_machines_that_end_when_they_have_nothing_to_do(self, pool: Pool, annexes: Annexes) -> None:
        annexes.control.settings(boot_delay_s=6)
        cluster = annexes.submit("removed-late")
        pool.wait_for(lambda: annexes.alive("removed-late"), "the machine")
        pool.ap.run(["condor_rm", str(cluster)])
        pool.wait_for(lambda: not annexes.alive("removed-late"), "the end of the machine")


def test_a_machine_that_vanishes_without_a_word_keeps_no_job_from_the_next_one(pool: Pool, annexes: Annexes) -> None:
    pool.wait_for_job(annexes.submit("vanished"))
    (first,) = annexes.alive("vanished")
    annexes.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])  # here that is to pull the plug
    slots = pool.slots(pool.knob("ANNEX_COLLECTOR_HOST"))
    assert first["InstanceId"] in {slot.get("EC2InstanceID") for slot in slots}  # its ad is still there, and free
    assert pool.wait_for_job(annexes.submit("vanished"))


class TestAtTheLeaseSEnd:
    """That machines which don't hang end themselves, jobs or no jobs, is proven in test_boot.py."""

    LIFE_S = 300

    def machine(self, annexes: Annexes, annex: str) -> dict[str, Any]:
        """Of an annex that lives for five minutes, AWS's bound and all; it hangs."""
        life = f"{self.LIFE_S}s"
        annexes.route("lease_end", f'TargetAnnexName == "{annex}"', AnnexLifetime=life, AnnexMaxLifetime=life)
        annexes.control.settings(**HUNG)
        annexes.submit(annex)
        (machine,) = annexes.pool.wait_for(lambda: annexes.alive(annex), "the machine")
        return machine

    def test_the_daemon_ends_machines_that_hang(self, pool: Pool, annexes: Annexes) -> None:
        machine = self.machine(annexes, "ends-by-daemon")
        annexes.move_lease(machine, seconds=0)
        pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")

    def test_aws_ends_machines_that_hang_while_the_daemon_is_down(self, pool: Pool, annexes: Annexes) -> None:
        machine = self.machine(annexes, "ends-by-aws")
        annexes.stop_daemon()
        annexes.control.advance(self.LIFE_S)
        pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")
