"""What the plan says of each group of idle jobs, as data."""

from dataclasses import replace

from annex_core.model.plan import Asked
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, NOW, ROUTE, annex, group, snapshot


def told(of):
    return plan(of).outlooks[ALICE].groups


def test_jobs_that_machines_are_asked_for_are_served_by_them():
    (each,) = told(snapshot([group(idle=2, requirements='TARGET.EC2InstanceType == "c5.large"')]))
    assert (each.served, each.asked, each.why_not_more) == (2, (Asked(("c5.large",), 1),), None)


def test_each_group_is_told_its_own_reason():
    capped = replace(ROUTE, max_instances=1)
    jobs, misfit = group(idle=100, cpus=4), group(cpus=64)
    first, second = told(snapshot([jobs, misfit], routes={"spot": capped}))
    assert (first.served, first.waiting, first.why_not_more) == (
        4,
        96,
        "the cap of 1 machine is reached (AnnexMaxInstances of route spot)",
    )
    assert second.waiting == 1
    assert "it asks for 64 CPUs, the largest type, c5.4xlarge, has 16" in second.why_not_more


def test_what_holds_the_annex_is_said_of_all_its_groups():
    of = replace(snapshot([group(), group(cpus=2)]), frozen={ROUTE.region: "the account is frozen"})
    assert [each.why_not_more for each in told(of)] == ["the account is frozen"] * 2


def test_jobs_of_an_annex_whose_lease_has_ended_wait_for_the_next():
    (each,) = told(replace(snapshot([group(idle=3)]), annexes={ALICE: annex(lease_ends=NOW)}))
    assert (each.waiting, each.why_not_more) == (3, "the lease has ended")
