"""Instance metadata of the local cloud: IMDSv2, and nothing without a token."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import urllib3
from types_boto3_ec2 import EC2Client

from rehearsal.cloud.cloud import LocalCloud
from rehearsal.cloud.settings import Settings
from rehearsal.control import CloudControl

Read = Callable[[str], str]
Launch = Callable[..., str]

TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}


@pytest.fixture
def local_cloud() -> Iterator[LocalCloud]:
    with LocalCloud(metadata=("127.0.0.1", 0), settings=Settings(tag_delay_s=120)) as running:
        yield running


@pytest.fixture
def launch(local_cloud: LocalCloud, ec2: EC2Client, image: str) -> Launch:
    """launch(**RunInstances) -> the URL of the instance's metadata."""

    def run(**more: Any) -> str:
        answer = ec2.run_instances(ImageId=image, InstanceType="c5.large", MinCount=1, MaxCount=1, **more)
        life = local_cloud.lives.get(answer["Instances"][0]["InstanceId"])
        assert life
        return life.metadata

    return run


@pytest.fixture
def tagged(launch: Launch) -> str:
    return launch(
        UserData="#!/bin/sh\necho ok\n",
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "htcondor:LeaseEnds", "Value": "2030-01-01T00:00:00Z"}]}
        ],
    )


def token(http: urllib3.PoolManager, url: str) -> dict[str, str]:
    answer = http.request("PUT", f"{url}/latest/api/token", headers=TTL)
    return {"X-aws-ec2-metadata-token": answer.data.decode()}


def get(http: urllib3.PoolManager, url: str, path: str) -> tuple[int, str]:
    answer = http.request("GET", f"{url}/latest/{path}", headers=token(http, url))
    return answer.status, answer.data.decode()


def test_each_instance_reads_of_itself(http: urllib3.PoolManager, launch: Launch, ec2: EC2Client) -> None:
    urls = [launch(), launch()]
    told = [get(http, url, "meta-data/instance-id")[1] for url in urls]
    listed = [group["Instances"][0]["InstanceId"] for group in ec2.describe_instances()["Reservations"]]
    assert told == listed


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("meta-data/instance-type", "c5.large"),
        ("meta-data/placement/region", "us-east-2"),
        ("meta-data/placement/availability-zone", "us-east-2a"),
        ("meta-data/placement/", "availability-zone\nregion"),
        ("user-data", "#!/bin/sh\necho ok\n"),
        ("meta-data/tags/instance/htcondor:LeaseEnds", "2030-01-01T00:00:00Z"),
        ("meta-data/tags/instance", "htcondor:LeaseEnds"),
    ],
)
def test_a_page_says(http: urllib3.PoolManager, tagged: str, path: str, expected: str) -> None:
    assert get(http, tagged, path) == (200, expected)


@pytest.mark.parametrize("path", ["meta-data/spot/instance-action", "meta-data/iam/security-credentials/", "other"])
def test_what_there_is_not_is_404(http: urllib3.PoolManager, tagged: str, path: str) -> None:
    assert get(http, tagged, path)[0] == 404


def test_the_identity_document_names_the_instance(http: urllib3.PoolManager, tagged: str, ec2: EC2Client) -> None:
    answer = http.request("GET", f"{tagged}/latest/dynamic/instance-identity/document", headers=token(http, tagged))
    [group] = ec2.describe_instances()["Reservations"]
    assert answer.json()["instanceId"] == group["Instances"][0]["InstanceId"]
    assert answer.json()["privateIp"] == group["Instances"][0]["PrivateIpAddress"]


def test_without_a_token_nothing_is_read(http: urllib3.PoolManager, tagged: str) -> None:
    assert http.request("GET", f"{tagged}/latest/user-data").status == 401


def test_another_instance_s_token_is_no_good(http: urllib3.PoolManager, launch: Launch, tagged: str) -> None:
    theirs = token(http, launch())
    assert http.request("GET", f"{tagged}/latest/user-data", headers=theirs).status == 401


def test_a_token_ends(http: urllib3.PoolManager, tagged: str, settle: Callable[[float], None]) -> None:
    mine = token(http, tagged)
    settle(61)
    assert http.request("GET", f"{tagged}/latest/user-data", headers=mine).status == 401


def test_a_token_is_asked_for_with_its_life(http: urllib3.PoolManager, tagged: str) -> None:
    assert http.request("PUT", f"{tagged}/latest/api/token").status == 400


def test_a_forwarded_request_is_refused(http: urllib3.PoolManager, tagged: str) -> None:
    headers = TTL | {"X-Forwarded-For": "10.0.0.1"}
    assert http.request("PUT", f"{tagged}/latest/api/token", headers=headers).status == 403


def test_tags_are_not_shown_unless_the_launch_said_so(http: urllib3.PoolManager, launch: Launch) -> None:
    tags: Any = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
    assert get(http, launch(TagSpecifications=tags), "meta-data/tags/instance/a")[0] == 404


def test_a_changed_tag_shows_late(
    http: urllib3.PoolManager, tagged: str, ec2: EC2Client, settle: Callable[[float], None]
) -> None:
    [group] = ec2.describe_instances()["Reservations"]
    later = [{"Key": "htcondor:LeaseEnds", "Value": "2031-01-01T00:00:00Z"}]
    ec2.create_tags(Resources=[group["Instances"][0]["InstanceId"]], Tags=later)
    settle(119)
    assert get(http, tagged, "meta-data/tags/instance/htcondor:LeaseEnds")[1] == "2030-01-01T00:00:00Z"
    settle(2)
    assert get(http, tagged, "meta-data/tags/instance/htcondor:LeaseEnds")[1] == "2031-01-01T00:00:00Z"


def test_a_gone_instance_has_no_metadata(
    http: urllib3.PoolManager, tagged: str, ec2: EC2Client, settle: Callable[[float], None]
) -> None:
    [group] = ec2.describe_instances()["Reservations"]
    ec2.terminate_instances(InstanceIds=[group["Instances"][0]["InstanceId"]])
    settle(1)
    with pytest.raises(urllib3.exceptions.HTTPError):
        http.request("GET", f"{tagged}/latest/user-data")


def test_one_address_for_all_knows_instances_by_their_own(session: boto3.Session, http: urllib3.PoolManager) -> None:
    """As in the rehearsal's network, where the address is 169.254.169.254; here a loopback one stands for it."""
    with LocalCloud(metadata=("localhost", 0)) as running:
        client = session.client("ec2", endpoint_url=running.url)
        image = client.describe_images()["Images"][0]["ImageId"]
        vpc = client.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc, CidrBlock="127.0.0.0/24")["Subnet"]["SubnetId"]
        client.run_instances(
            ImageId=image,
            InstanceType="c5.large",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "PrivateIpAddress": "127.0.0.1"}],
        )
        [life] = running.lives.all()
        assert get(http, life.metadata, "meta-data/local-ipv4") == (200, "127.0.0.1")
        assert http.request("GET", f"{life.metadata}/latest/user-data").status == 401


def test_what_knows_version_1_alone_is_answered_where_the_launch_says_so(
    http: urllib3.PoolManager, launch: Launch
) -> None:
    answers = [
        http.request("GET", f"{launch(MetadataOptions={'HttpTokens': tokens})}/latest/meta-data/instance-type").status
        for tokens in ("optional", "required")
    ]
    assert answers == [200, 401]


def test_an_instance_profile_brings_its_roles_keys(
    http: urllib3.PoolManager, launch: Launch, session: boto3.Session, local_cloud: LocalCloud
) -> None:
    iam = session.client("iam", endpoint_url=local_cloud.url)
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="annex")
    iam.add_role_to_instance_profile(InstanceProfileName="annex", RoleName="reader")
    url = launch(IamInstanceProfile={"Name": "annex"})
    assert '"InstanceProfileArn" : "arn:aws:iam::' in get(http, url, "meta-data/iam/info")[1]
    assert get(http, url, "meta-data/iam/security-credentials/") == (200, "reader")
    keys = json.loads(get(http, url, "meta-data/iam/security-credentials/reader")[1])
    assert keys["Code"] == "Success"
    assert keys["AccessKeyId"].startswith("ASIA")
    assert get(http, launch(), "meta-data/iam/info")[0] == 404


class TestNotices:
    """What a Spot instance is told ahead."""

    ACTION, ADVICE = "meta-data/spot/instance-action", "meta-data/events/recommendations/rebalance"

    @pytest.fixture
    def spot(self, launch: Launch, local_cloud: LocalCloud) -> tuple[str, CloudControl, str]:
        url = launch(InstanceMarketOptions={"MarketType": "spot"})
        (life,) = local_cloud.lives.all()
        local_cloud.tick()
        return url, CloudControl(local_cloud.url), life.instance.id

    def test_before_there_is_one_nothing_is_there(
        self, http: urllib3.PoolManager, spot: tuple[str, CloudControl, str]
    ) -> None:
        assert [get(http, spot[0], path)[0] for path in (self.ACTION, self.ADVICE)] == [404, 404]

    def test_an_interruption_says_when_and_then_ends_the_instance_as_spot_does(
        self, http: urllib3.PoolManager, spot: tuple[str, CloudControl, str], ec2: EC2Client
    ) -> None:
        url, control, instance = spot
        control.settings(notice_s=120)
        at = datetime.fromtimestamp(int(control.interrupt(instance)), UTC)
        told = json.loads(get(http, url, self.ACTION)[1])
        assert told == {"action": "terminate", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        control.advance(119)
        assert control.machines()[0]["state"] == "running"
        control.advance(1)
        listed = ec2.describe_instances()["Reservations"][0]["Instances"][0]
        assert listed["State"]["Name"] in {"shutting-down", "terminated"}
        assert listed["StateReason"]["Code"] == "Server.SpotInstanceTermination"

    def test_a_recommendation_ends_nothing(
        self, http: urllib3.PoolManager, spot: tuple[str, CloudControl, str]
    ) -> None:
        url, control, instance = spot
        control.recommend_rebalance(instance)
        assert "noticeTime" in json.loads(get(http, url, self.ADVICE)[1])
        control.advance(3600)
        assert control.machines()[0]["state"] == "running"

    def test_an_on_demand_instance_is_given_none(self, launch: Launch, local_cloud: LocalCloud) -> None:
        launch()
        local_cloud.tick()
        control = CloudControl(local_cloud.url)
        with pytest.raises(ValueError, match="no Spot instance that runs"):
            control.interrupt(control.machines()[0]["id"])
