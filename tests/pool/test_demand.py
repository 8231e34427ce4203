"""What the daemon sees waiting in a real queue."""

from collections.abc import Iterator

import pytest

from rehearsal.host import Host
from rehearsal.pool import Pool
from tests.pool.annexes import Annexes


@pytest.fixture
def no_negotiator(pool: Pool) -> Iterator[None]:
    """Nobody asks the schedd for jobs, neither for the site nor for the annexes."""
    _off(pool, pool.cm, "NEGOTIATOR")
    _off(pool, pool.ap, "ANNEX_NEGOTIATOR")
    yield
    pool.cm.run(["condor_on", "-daemon", "NEGOTIATOR"])
    pool.ap.run(["condor_on", "-daemon", "ANNEX_NEGOTIATOR"])
    pool.wait_for(lambda: pool.ads("-negotiator"), "the negotiator")
    pool.wait_for(lambda: pool.ads("-negotiator", pool.knob("ANNEX_COLLECTOR_HOST")), "the annexes' negotiator")


def _off(pool: Pool, host: Host, name: str) -> None:
    host.run(["condor_off", "-daemon", name])
    pool.wait_for(lambda: host.run(["pgrep", "-f", "negotiator"], check=False).returncode, f"the end of {name}")


@pytest.mark.usefixtures("no_negotiator")
def test_a_fleet_is_asked_for_before_a_negotiator_has_seen_the_jobs(annexes: Annexes) -> None:
    annexes.submit("early", jobs=2)

    annexes.pool.wait_for(lambda: annexes.fleets("early"), "a fleet request")


def test_held_jobs_launch_nothing_until_they_are_released(annexes: Annexes) -> None:
    pool = annexes.pool
    annexes.route("of_held", 'TargetAnnexName == "held"', AnnexGrowInterval="1s", AnnexIdleTimeout="10m")
    annexes.wait_running(annexes.submit("held", seconds=1000))
    held = annexes.submit("held", jobs=4, seconds=1000, commands="hold = true")
    pool.wait_for(lambda: annexes.of("held")["jobs"]["held"] == 4, "the held jobs in the status")
    seen = annexes.status()["as_of"]
    pool.wait_for(lambda: annexes.status()["as_of"] > seen, "one more look around")
    assert len(annexes.fleets("held")) == 1
    pool.ap.run(["condor_release", str(held)])
    pool.wait_for(lambda: len(annexes.fleets("held")) == 2, "a fleet for the released jobs")


def test_jobs_that_have_yet_to_wait_for_a_place_at_home_launch_nothing_beside_one_that_has_not(
    annexes: Annexes,
) -> None:
    pool = annexes.pool
    no_place = "requirements = TARGET.IsAnnex"
    patient = annexes.submit("patient", jobs=2, commands=f"annex_after = 1h\n{no_place}")
    routed = f"ClusterId == {patient} && AnnexRoute =!= undefined"
    pool.wait_for(lambda: len(pool.jobs(routed)) == 2, "the job router to take the jobs that wait at home")
    annexes.submit("hasty")
    pool.wait_for(lambda: annexes.fleets("hasty"), "a fleet for the job that does not")
    assert annexes.fleets("patient") == []
