"""Jobs on machines that come by EC2 Fleet: Spot ones at once, and on-demand ones for those that want no other."""

import boto3
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


def test_without_a_spot_machine_a_job_runs_on_an_on_demand_one_and_its_annex_stays_what_it_is(
    pool: Pool, annexes: Annexes
) -> None:
    annexes.control.fail(capacity=0, types=["m5.xlarge"], market="spot")
    annexes.route(
        "fallback",
        'TargetAnnexName == "fallback"',
        AnnexMarket="spot-then-on-demand",
        AnnexFleetApi="ec2-fleet",
        AnnexInstanceTypes="m5.xlarge",
        AnnexFallbackAfter="0s",
        AnnexGrowInterval="5s",
    )
    cluster = annexes.submit("fallback")
    annexes.wait_said(cluster, "AWS has no Spot m5.xlarge in us-east-2")
    (job,) = pool.wait_for_job(cluster)
    (machine,) = annexes.instances("fallback")
    assert (job["MachineAttrEC2InstanceID0"], machine.get("InstanceLifecycle")) == (machine["InstanceId"], None)
    pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")


NO_ADMIN = {"RunInstances", "CreateTags", "TerminateInstances"}
FORBIDDEN = {
    "GetCallerIdentity",
    "GetEbsDefaultKmsKeyId",
    "GetEbsEncryptionByDefault",
    "GetKeyPolicy",
    "GetProducts",
    "GetRole",
    "GetServiceQuota",
    "ListGrants",
}
"""What the look before a first launch and the list prices ask beside, and do without."""


def test_in_an_account_that_nobody_has_set_up_a_job_runs_with_the_four_rights_there_are(
    pool: Pool, annexes: Annexes
) -> None:
    for action in FORBIDDEN:
        annexes.control.fail(action=action, error="AccessDenied", status=403, times=None)
    annexes.route(
        "unaided",
        'TargetAnnexName == "unaided"',
        AnnexFleetApi="run-instances",
        AnnexImage=_image(annexes),
        AnnexBucket=None,
        AnnexFleetRole=None,
    )
    since = annexes.calls_so_far()
    (job,) = pool.wait_for_job(annexes.submit("unaided"))
    (machine,) = annexes.instances("unaided")
    assert job["MachineAttrEC2InstanceID0"] == machine["InstanceId"]
    made = {call["action"] for call in annexes.control.calls(since) if not call["action"].startswith("Describe")}
    assert made <= NO_ADMIN | FORBIDDEN
    annexes.control.heal()
    pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")


def _image(annexes: Annexes) -> str:
    """The shipped route's image by its id: an SSM parameter would take another right."""
    ssm = boto3.client(
        "ssm",
        region_name="us-east-2",
        endpoint_url=annexes.control.url,
        aws_access_key_id="rehearsal",
        aws_secret_access_key="rehearsal",
    )
    return str(ssm.get_parameter(Name="/condor-annex/rehearsal/image")["Parameter"]["Value"])
