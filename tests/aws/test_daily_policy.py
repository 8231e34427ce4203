"""The daemon's own calls, as it makes them, beside the policy that condor_annex policies prints for it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.handlers
import pytest
from botocore.model import OperationModel

from annex_core.account.components import FLEET_ROLE, SERVICE_ROLES, bucket_name, fleet_role_name
from annex_core.account.policies import policy
from annex_core.account.right import PolicyName
from annex_core.account.stacks import build
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import Ec2Cloud, ec2_cloud
from annex_core.adapters.preflight import Pool, Preflight
from annex_core.adapters.price_list import price_list
from annex_core.adapters.s3 import bundle_store
from annex_core.adapters.stacks import stacks
from annex_core.model.names import bundle_key
from annex_core.model.route import FleetApi, Market, Route
from annex_core.ports import LaunchRequest, Override, TemplateRequest
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.ec2 import image_of
from rehearsal.cloud.settings import Settings
from tests.iam import allowed

ACCOUNT, REGION, POOL = "123456789012", "us-east-2", "ap.example.org"
BUCKET = bucket_name(ACCOUNT, REGION)
TAGS = {"htcondor:Pool": POOL, "htcondor:AccessPoint": POOL, "htcondor:Owner": "alice", "htcondor:AnnexName": "blue"}

FLEET = "spot-fleet-request"

Asked = tuple[str, str, dict[str, Any]]
"""Action, resource, context: what IAM is asked when a call comes in."""


class Guard:
    """Notes what the policy would refuse of the calls it is told of."""

    def __init__(self, ec2: Any, granted: Mapping[str, Any]) -> None:
        self._ec2 = ec2
        self._granted = granted
        self.seen: set[str] = set()
        self.refused: list[Asked] = []

    def subnets(self) -> list[str]:
        return [each["SubnetId"] for each in self._ec2.describe_subnets()["Subnets"]]

    def look(self, params: Mapping[str, Any], model: OperationModel) -> None:
        self.seen.add(model.name)
        for asked in self._asked(model.service_model.signing_name, model.name, params):
            if not allowed(self._granted, *asked):
                self.refused.append(asked)

    def _asked(self, service: str, name: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        match name:
            case "GetParameter":
                yield f"{service}:{name}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{params['Name']}", {}
            case "PutObject" | "GetObject" | "DeleteObject":
                key = f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
                for action in (name, *(["PutObjectTagging"] if "Tagging" in params else [])):
                    yield f"s3:{action}", key, {"aws:ResourceAccount": ACCOUNT}
            case "CreateLaunchTemplate":
                yield from self._making(name, params)
            case "CreateLaunchTemplateVersion" | "DeleteLaunchTemplate":
                yield self._of(name, "launch-template", params["LaunchTemplateId"])
            case "RequestSpotFleet":
                yield from self._fleet(params["SpotFleetRequestConfig"])
            case "CreateFleet":
                yield from self._making(name, params)
                for launch in params["LaunchTemplateConfigs"]:
                    yield from self._launch(name, launch, dry_run=params.get("DryRun", False))
            case "DeleteFleets":
                yield from (self._of(name, "fleet", each) for each in params["FleetIds"])
            case "GetConsoleOutput":
                yield self._of(name, "instance", params["InstanceId"])
            case "CancelSpotFleetRequests":
                yield from (self._of(name, FLEET, each) for each in params["SpotFleetRequestIds"])
            case "CreateTags":
                keys = {"aws:TagKeys": [tag["Key"] for tag in params["Tags"]]}
                for each in params["Resources"]:
                    action, thing, carried = self._of(name, "instance" if each[:2] == "i-" else FLEET, each)
                    yield action, thing, carried | keys
            case "TerminateInstances":
                yield from (self._of(name, "instance", each) for each in params["InstanceIds"])
            case "CancelSpotInstanceRequests":
                yield from (self._of(name, "spot-instances-request", each) for each in params["SpotInstanceRequestIds"])
            case "GetCallerIdentity":
                return  # needs no right
            case "GetServiceQuota":
                quota = f"{params['ServiceCode']}/{params['QuotaCode']}"
                yield f"servicequotas:{name}", f"arn:aws:servicequotas:{REGION}:{ACCOUNT}:{quota}", {}
            case "GetRole":
                service = {name: service for service, name in SERVICE_ROLES.items()}[params["RoleName"]]
                role = f"role/aws-service-role/{service}/{params['RoleName']}"
                yield "iam:GetRole", f"arn:aws:iam::{ACCOUNT}:{role}", {}
            case "RunInstances":
                yield from self._making(name, params)
                yield f"ec2:{name}", _arn("subnet", params["SubnetId"]), {}
                yield f"ec2:{name}", f"arn:aws:ec2:{REGION}::image/{params['ImageId']}", {}
            case _:
                yield f"{service}:{name}", "*", {}

    def _fleet(self, config: Mapping[str, Any]) -> Iterator[Asked]:
        yield from self._making("RequestSpotFleet", config)
        yield "iam:PassRole", config["IamFleetRole"], {"iam:PassedToService": "spotfleet.amazonaws.com"}
        for launch in config.get("LaunchTemplateConfigs", ()):
            yield from self._launch("RequestSpotFleet", launch)
        for specification in config.get("LaunchSpecifications", ()):  # of a dry run
            yield "ec2:RequestSpotFleet", _arn("subnet", specification["SubnetId"]), {}
            yield from self._making("RunInstances", specification)

    def _launch(self, action: str, launch: Mapping[str, Any], *, dry_run: bool = False) -> Iterator[Asked]:
        template = launch["LaunchTemplateSpecification"]
        for each in (action, "RunInstances"):
            for override in launch["Overrides"]:
                yield f"ec2:{each}", _arn("subnet", override["SubnetId"]), {}
        if dry_run:
            return  # there is no template yet
        for each in (action, "RunInstances"):
            yield self._of(each, "launch-template", template["LaunchTemplateId"])
        [version] = self._ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        yield "ec2:RunInstances", f"arn:aws:ec2:{REGION}::image/{data['ImageId']}", {}
        yield from self._making("RunInstances", data)

    def _making(self, action: str, params: Mapping[str, Any]) -> Iterator[Asked]:
        """Of each new thing: that it is made, and that it is tagged while it is."""
        for specified in params["TagSpecifications"]:
            tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in specified["Tags"]}
            thing = _arn(specified["ResourceType"], "*")
            yield f"ec2:{action}", thing, tags
            yield "ec2:CreateTags", thing, tags | {"ec2:CreateAction": action}

    def _of(self, action: str, kind: str, name: str) -> Asked:
        """Of a thing that is there, with the tags that it has."""
        if kind == "spot-instances-request":
            [request] = self._ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[name])["SpotInstanceRequests"]
            tags = request["Tags"]
        else:
            tags = self._ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [name]}])["Tags"]
        return f"ec2:{action}", _arn(kind, name), {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags}


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/{name}"


@pytest.fixture
def aws() -> Iterator[LocalCloud]:
    """Fleets fill to the half at once, and the rest stays open."""
    with LocalCloud(settings=Settings(fill_fraction=0.5), bucket=BUCKET) as running:
        yield running


@pytest.fixture
def guard(aws: LocalCloud, session: boto3.Session) -> Iterator[Callable[..., Guard]]:
    """guard(POOL, POLICY, PROJECT) -> a guard by that pool's policy, told of every call of later sessions."""
    ec2 = session.client("ec2", endpoint_url=aws.url)
    handlers = []

    def stand(pool: str, name: PolicyName = "daily", project: str | None = None) -> Guard:
        guard = Guard(ec2, policy(name, partition="aws", account=ACCOUNT, pool=pool, project=project))
        handler = ("provide-client-params", lambda params, model, **_: guard.look(params, model))
        botocore.handlers.BUILTIN_HANDLERS.append(handler)
        handlers.append(handler)
        return guard

    yield stand
    for handler in handlers:
        botocore.handlers.BUILTIN_HANDLERS.remove(handler)


def live_and_end(aws: LocalCloud, cloud: Ec2Cloud, subnets: list[str]) -> None:
    """An annex from its template to its end; all that the daemon does at EC2."""
    template_request = TemplateRequest(
        name="condor-annex-blue-0123456789",
        client_token="blue-0123456789_t1",
        image=cloud.resolve_image(IMAGE_PARAMETER),
        user_data="#!/bin/sh\n",
        tags=TAGS,
    )
    template = cloud.put_template(template_request, existing=None)
    changed = replace(template_request, client_token="blue-0123456789_t2", user_data="#!/bin/sh\n:\n")
    template = cloud.put_template(changed, existing=template.id)
    cloud.instance_types(["c5.large"])
    cloud.spot_prices([*cloud.offered_zones(["c5.large"])])
    now = datetime.now(UTC)
    request = LaunchRequest(
        api=FleetApi.SPOT_FLEET,
        market=Market.SPOT,
        client_token="blue-0123456789_f1",
        template=template,
        overrides=tuple(Override("c5.large", subnet, None) for subnet in cloud.subnet_zones(subnets)),
        target=4,
        allocation_strategy="priceCapacityOptimized",
        valid_from=now,
        valid_until=now + timedelta(hours=8),
        fleet_role=f"arn:aws:iam::{ACCOUNT}:role/{fleet_role_name(REGION)}",
        tags=TAGS,
    )
    fleet = cloud.request(cloud.encode(request)).fleet or ""
    aws.tick()
    aws.tick()
    cloud.fleet_trouble(fleet, now)
    cloud.cancel_open_requests([each.id for each in cloud.open_requests([fleet])])
    cloud.retag([fleet, *(each.id for each in cloud.instances(POOL))], {"htcondor:LeaseEnds": "2026-11-21T08:30:00Z"})
    cloud.terminate([each.id for each in cloud.instances(POOL)])
    cloud.cancel_fleets([each.id for each in cloud.fleets(POOL)], terminate=True)
    cloud.delete_template(template.id)


@pytest.fixture
def region(aws: LocalCloud, tmp_path: Any) -> AwsRegion:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    who_set_up, daemon = (AwsRegion(REGION, endpoint=aws.url, credentials_file=str(file)) for _ in range(2))
    build(stacks(who_set_up), FLEET_ROLE, {}, pause=aws.tick)
    return daemon


def test_an_annex_lives_and_ends_within_the_daily_policy(
    aws: LocalCloud, region: AwsRegion, guard: Callable[[str], Guard]
) -> None:
    watching = guard(POOL)
    cloud = ec2_cloud(region)
    role = f"arn:aws:iam::{ACCOUNT}:role/{fleet_role_name(REGION)}"
    route = Route("blue", REGION, tuple(watching.subnets()), IMAGE_PARAMETER, ("c5.large",), fleet_role=role)
    Preflight(region, cloud, Pool(POOL, POOL)).findings(route, datetime.now(UTC))
    prices = price_list(region)
    assert prices
    prices.on_demand(["c5.large"])
    live_and_end(aws, cloud, watching.subnets())
    assert watching.refused == []
    assert watching.seen >= {"GetProducts", "RequestSpotFleet", "CancelSpotInstanceRequests", "CancelSpotFleetRequests"}


@pytest.mark.parametrize(
    ("api", "name"),
    [(FleetApi.RUN_INSTANCES, "no-admin"), (FleetApi.EC2_FLEET, "no-admin-fleet"), (FleetApi.EC2_FLEET, "daily")],
)
def test_an_annex_without_a_spot_fleet_lives_and_ends_within_its_policy(
    region: AwsRegion, guard: Callable[..., Guard], api: FleetApi, name: PolicyName
) -> None:
    watching, image = guard(POOL, name), image_of(REGION)
    cloud, now = ec2_cloud(region), datetime.now(UTC)
    route = Route("blue", REGION, tuple(watching.subnets()), image, ("c5.large",), fleet_api=api)
    found = Preflight(region, cloud, Pool(POOL, POOL)).findings(route, now)
    assert "AWS would launch it, by a dry run" in [each.says for each in found]
    template = TemplateRequest("condor-annex-blue", "blue_t1", image, "#!/bin/sh\n", TAGS)
    made = None
    if api is FleetApi.EC2_FLEET:
        made = cloud.put_template(template, existing=None)
        made = cloud.put_template(replace(template, client_token="blue_t2", user_data=":\n"), existing=made.id)
    request = LaunchRequest(
        api=api,
        market=Market.SPOT,
        client_token="blue_f1",
        template=made or template,
        overrides=(Override("c5.large", route.subnets[0], None),),
        target=2,
        allocation_strategy="priceCapacityOptimized",
        valid_from=now,
        valid_until=now + timedelta(hours=8),
        fleet_role=None,
        tags=TAGS,
    )
    launched = cloud.request(cloud.encode(request))
    machines = [each.id for each in cloud.instances(POOL)]
    cloud.retag(machines, {"htcondor:LeaseEnds": "2026-11-21T08:30:00Z", "htcondor:Draining": "yes"})
    cloud.console(machines[0])
    cloud.terminate(machines)
    cloud.cancel_fleets([launched.fleet] if launched.fleet else [], terminate=True)
    if made:
        cloud.delete_template(made.id)
    cloud.remains(TAGS)
    assert len(machines) == 2
    assert [asked for asked in watching.refused if asked[0].startswith("ec2:")] == []
    assert watching.seen >= {"CreateTags", "TerminateInstances", "GetConsoleOutput", "DescribeVolumes"}


def test_a_route_by_a_project_s_policy_is_run_dry_within_it_where_it_is_called_as_the_project(
    region: AwsRegion, guard: Callable[..., Guard]
) -> None:
    watching = guard(POOL, "daily", "physics")
    role = f"arn:aws:iam::{ACCOUNT}:role/{fleet_role_name(REGION)}"
    route = Route("physics", REGION, tuple(watching.subnets()), IMAGE_PARAMETER, ("c5.large",), fleet_role=role)
    Preflight(region, ec2_cloud(region), Pool(POOL, POOL)).findings(route, datetime.now(UTC))
    assert watching.refused == []


def test_of_what_is_there_only_the_lease_may_be_tagged() -> None:
    """Who could write another tag could make a thing his, and end it."""
    granted = policy("daily", partition="aws", account=ACCOUNT, pool=POOL)
    thing, ours = _arn("instance", "i-1"), {"aws:ResourceTag/htcondor:Pool": POOL}
    others = {"aws:ResourceTag/htcondor:Pool": "ap.elsewhere.org"}
    lease, pool = {"aws:TagKeys": ["htcondor:LeaseEnds"]}, {"aws:TagKeys": ["htcondor:LeaseEnds", "htcondor:Pool"]}
    assert allowed(granted, "ec2:CreateTags", thing, ours | lease)
    assert not allowed(granted, "ec2:CreateTags", thing, ours | pool)
    assert not allowed(granted, "ec2:CreateTags", thing, others | lease)
    assert not allowed(granted, "ec2:CreateTags", thing, lease)


def test_a_bundle_is_kept_within_the_daily_policy(
    aws: LocalCloud, region: AwsRegion, guard: Callable[[str], Guard]
) -> None:
    watching = guard(POOL)
    bundles, key = bundle_store(region, BUCKET), bundle_key("blue-0123456789")
    bundles.put(key, b"x", TAGS)
    bundles.url(key, expires_in=60)
    bundles.delete(key)
    assert (watching.refused, watching.seen) == ([], {"PutObject", "GetObject", "DeleteObject"})


def test_with_another_pool_s_policy_nothing_of_it_may_be_made_or_ended(
    aws: LocalCloud, region: AwsRegion, guard: Callable[[str], Guard]
) -> None:
    watching = guard("ap.elsewhere.org")
    live_and_end(aws, ec2_cloud(region), watching.subnets())
    assert {action for action, _, _ in watching.refused} == {
        "ec2:CancelSpotFleetRequests",
        "ec2:CreateLaunchTemplate",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:CreateTags",
        "ec2:DeleteLaunchTemplate",
        "ec2:RequestSpotFleet",
        "ec2:RunInstances",
        "ec2:TerminateInstances",
    }
