"""Jobs that named no annex: those that may go to the cloud do so once they have waited at home."""

from typing import Any

from tests.pool.annexes import Annexes

AFTER_S = 8

ANY_JOB = """\
executable = /bin/sleep
arguments = {seconds}
request_cpus = 1
request_memory = 64
request_disk = 1024
{commands}
queue
"""
MAY = "+MayUseAWS = True"


def test_a_job_that_may_goes_to_the_cloud_after_its_wait_and_stays_home_where_a_slot_is_free_first(
    annexes: Annexes,
) -> None:
    pool, control = annexes.pool, annexes.control
    annexes.route("burst", "MayUseAWS =?= True", burst=True, AnnexAfter=f"{AFTER_S}s", AnnexGrowInterval="1s")
    blockers = [_submit(annexes, seconds=1000) for _ in range(2)]
    for each in blockers:
        annexes.wait_running(each)

    control.settings(fill_fraction=0.0, fill_rest_after_s=None)
    early = _submit(annexes, MAY, seconds=1000)
    pool.wait_for(lambda: _job(annexes, early).get("AnnexAfter") == AFTER_S, "the router to tell it how long to wait")
    joined = pool.wait_for(lambda: _steered(annexes, early), "the job to join the annex of its project")
    assert joined["ServerTime"] - joined["EnteredCurrentStatus"] >= AFTER_S
    assert (joined["AnnexProject"], joined["TargetAnnexName"], joined["AnnexRoute"]) == ("alice", "alice", "burst")
    (fleet,) = pool.wait_for(lambda: annexes.fleets("alice"), "a fleet for it")
    pool.ap.run(["condor_rm", str(blockers[0])])
    (running,) = annexes.wait_running(early)
    assert running["MachineAttrAnnexName0"] != "alice"
    assert "@cm." in running["RemoteHost"]
    assert _cost(annexes, early) == "undefined"
    pool.wait_for(lambda: not annexes.open_requests(fleet), "the request that nothing waits for to be cancelled")

    control.settings(fill_fraction=1.0)
    never = _submit(annexes, f"{MAY}\nannex_never = True")
    late = _submit(annexes, f'{MAY}\n+ProjectName = "group of physics/2"', seconds=1000)
    (running,) = annexes.wait_running(late)
    assert (running["MachineAttrAnnexName0"], running["AnnexProject"]) == ("group-of-physics-2", "group of physics/2")
    assert "@cm." not in running["RemoteHost"]
    pool.wait_for(
        lambda: _cost(annexes, late) not in {"undefined", "0.0"}, "what the job costs to be more than nothing"
    )
    assert 0 < float(_cost(annexes, late)) < 0.01
    stayed = _job(annexes, never)
    assert (stayed["JobStatus"], stayed["AnnexNever"]) == (1, True)
    assert {"AnnexProject", "TargetAnnexName", "AnnexRoute", "AnnexAfter"}.isdisjoint(stayed)


def _submit(annexes: Annexes, commands: str = "", *, seconds: int = 1) -> int:
    """A job that names no annex."""
    return annexes.pool.submit("alice", ANY_JOB.format(seconds=seconds, commands=commands))


def _job(annexes: Annexes, cluster: int) -> dict[str, Any]:
    return annexes.pool.jobs(f"ClusterId == {cluster}")[0]


def _cost(annexes: Annexes, cluster: int) -> str:
    return annexes.pool.ap.run(["condor_q", str(cluster), "-af", "AnnexCost"]).stdout.strip()


def _steered(annexes: Annexes, cluster: int) -> dict[str, Any] | None:
    job = _job(annexes, cluster)
    return job if job.get("AnnexSteered") else None
