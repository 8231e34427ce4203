"""What machines tell of themselves: that AWS recommends to leave them, and what they really have."""

from typing import Any

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

KINDS = {"AnnexInstanceTypes": "c5.large", "AnnexGrowInterval": "1s", "AnnexIdleTimeout": "1h"}
"""Machines with two CPUs, which come at once and leave only when they are told to."""


def started_once(annexes: Annexes, *clusters: int) -> bool:
    """All that has begun still runs."""
    jobs = [job for cluster in clusters for job in annexes.pool.jobs(f"ClusterId == {cluster}")]
    return {(job["JobStatus"], job["NumShadowStarts"]) for job in jobs} == {(2, 1)}


def advised(annexes: Annexes, rebalance: str | None) -> None:
    """Its route follows so many recommendations an hour."""
    annexes.route("advised", 'TargetAnnexName == "advised"', **KINDS, AnnexRebalance=rebalance)


def recommend(annexes: Annexes, machine: dict[str, Any]) -> None:
    """To leave a machine, and until the daemon knows."""
    annexes.control.recommend_rebalance(machine["InstanceId"])
    annexes.pool.wait_for(lambda: annexes.slot(machine).get("AnnexRebalanceAt"), "the slot ad to say it")
    annexes.look_again()


def test_a_machine_that_aws_recommends_to_leave_is_let_go_where_the_route_says_so_and_as_often_as_it_says(
    pool: Pool, annexes: Annexes
) -> None:
    advised(annexes, rebalance=None)
    first = annexes.submit("advised", seconds=1000)
    annexes.wait_running(first)
    (machine,) = annexes.alive("advised")
    recommend(annexes, machine)
    assert not annexes.told_to_drain(machine)

    advised(annexes, rebalance="1")
    pool.wait_for(lambda: annexes.told_to_drain(machine), "the machine to be drained")
    pool.wait_for(lambda: annexes.slot(machine).get("AnnexDraining"), "it to take no more job")
    second = annexes.submit("advised", seconds=1000)
    on = annexes.runs_on(second)
    (other,) = [each for each in annexes.alive("advised") if each["InstanceId"] != machine["InstanceId"]]
    assert on == [other["InstanceId"]]
    recommend(annexes, other)
    assert not annexes.told_to_drain(other)
    assert started_once(annexes, first, second)


LESS = {"AnnexConfigDir": "/etc/annex-less"}
"""The site keeps a gigabyte of each machine."""


def test_what_machines_really_have_is_kept_and_no_more_of_a_type_are_asked_for_by_its_brochure(
    pool: Pool, annexes: Annexes
) -> None:
    pool.ap.write("/etc/annex-less/90-less.config", "RESERVED_MEMORY = 1024\n")
    annexes.route("less", 'TargetAnnexName == "less"', **KINDS, **LESS)
    pool.wait_for_job(annexes.submit("less"))
    (small,) = annexes.alive("less")
    learned = f"machines of type c5.large and image {small['ImageId']} have 2 CPUs, 0 GPUs, 2867 MiB"
    pool.wait_for(lambda: learned in annexes.log(), "the daemon to learn it")
    annexes.stop_daemon()
    annexes.start_daemon()  # which knows it by the journal alone
    annexes.route("less", 'TargetAnnexName == "less"', **KINDS | {"AnnexInstanceTypes": "c5.large, m5.large"}, **LESS)
    annexes.wait_running(annexes.submit("less", seconds=1000, commands="request_memory = 3200"))
    assert sorted(each["InstanceType"] for each in annexes.alive("less")) == ["c5.large", "m5.large"]
