"""Machines that are kept ready without a job."""

from datetime import UTC, datetime

from tests.pool.annexes import Annexes

IDLE_S = 5


def test_a_machine_that_is_kept_ready_stays_without_a_job_where_others_leave(annexes: Annexes) -> None:
    pool = annexes.pool
    annexes.route(
        "ready",
        'TargetAnnexName == "ready"',
        AnnexMinInstances="1",
        AnnexMinSchedule="always",
        AnnexIdleTimeout=f"{IDLE_S}s",
        AnnexGrowInterval="1s",
    )
    pool.wait_for_job(annexes.submit("ready"))
    (for_the_job,) = annexes.instances("ready")
    pool.wait_for(lambda: annexes.ended(for_the_job), "the end of the machine that the job had asked for")
    (kept,) = pool.wait_for(lambda: annexes.alive("ready"), "a machine that is kept ready in its place")

    def up_s() -> float:
        booted = annexes.machine(kept)["booted_at"]
        return (datetime.now(UTC).timestamp() - booted) if booted else 0

    pool.wait_for(lambda: annexes.of("ready")["instances"]["joined"] == 1, "it to join the pool")
    pool.wait_for(lambda: up_s() > 8 * IDLE_S, "it to be idle for long")
    assert [each["InstanceId"] for each in annexes.alive("ready")] == [kept["InstanceId"]]
    assert not annexes.ended(kept)
