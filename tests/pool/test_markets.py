"""Jobs on machines that come by EC2 Fleet: Spot ones at once, and on-demand ones for those that want no other."""

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes, tags


@pytest.mark.parametrize(
    ("annex", "macros", "lifecycle", "commands"),
    [
        ("instant", {"AnnexFleetApi": "ec2-fleet"}, "spot", ""),
        ("ondemand", {"AnnexMarket": "on-demand"}, None, "annex_on_demand = True"),
    ],
)
def test_a_job_runs_on_a_machine_of_an_instant_fleet_which_leaves(
    pool: Pool, annexes: Annexes, annex: str, macros: dict[str, str], lifecycle: str | None, commands: str
) -> None:
    annexes.route(annex, f'TargetAnnexName == "{annex}"', **macros)
    since = annexes.calls_so_far()
    (job,) = pool.wait_for_job(annexes.submit(annex, commands=commands))
    (machine,) = annexes.instances(annex)
    assert job["MachineAttrEC2InstanceID0"] == machine["InstanceId"]
    assert machine.get("InstanceLifecycle") == lifecycle
    assert {"htcondor:LeaseEnds", "htcondor:EndsAtLatest", "htcondor:ClientToken"} <= tags(machine).keys()
    assert len(annexes.calls("CreateFleet", since)) == 1
    assert not annexes.calls("RequestSpotFleet", since)
    pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")
