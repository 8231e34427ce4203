"""A local cloud for each test, and what an outsider needs to talk to it: boto3, and JSON for the control API."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import urllib3
from types_boto3_ec2 import EC2Client

from annex_core.cli.main import main
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud

REGION = "us-east-2"
FLEET_ROLE = "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role"

Control = Callable[..., Any]
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush", region_name=REGION)


@pytest.fixture
def local_cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running:
        yield running


@pytest.fixture
def ec2(local_cloud: LocalCloud, session: boto3.Session) -> EC2Client:
    return session.client("ec2", endpoint_url=local_cloud.url)


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """Asks once: a retry would hide what the wire does."""
    with urllib3.PoolManager(retries=False, timeout=10) as manager:
        yield manager


@pytest.fixture
def control(local_cloud: LocalCloud, http: urllib3.PoolManager) -> Control:
    """control(METHOD, PATH, body) -> the answer's JSON; a refusal is a RuntimeError with status and sentence."""

    def ask(method: str, path: str, body: object = None) -> Any:
        sent = None if body is None else json.dumps(body)
        answer = http.request(method, f"{local_cloud.url}/_rehearsal{path}", body=sent)
        if answer.status >= 400:
            raise RuntimeError(f"{answer.status}: {answer.json()['error']}")
        return answer.json() if answer.data else None

    return ask


@pytest.fixture
def settle(local_cloud: LocalCloud) -> Callable[[float], None]:
    """Move the cloud's clock ahead, and let one thing follow from another."""

    def advance(seconds: float) -> None:
        local_cloud.world.clock.advance(seconds)
        for _ in range(3):
            local_cloud.tick()

    return advance


@pytest.fixture
def image(local_cloud: LocalCloud, session: boto3.Session) -> str:
    ssm = session.client("ssm", endpoint_url=local_cloud.url)
    return ssm.get_parameter(Name=IMAGE_PARAMETER)["Parameter"]["Value"]


@pytest.fixture
def subnets(ec2: EC2Client) -> dict[str, str]:
    """The default subnets' ids by zone."""
    return {each["AvailabilityZone"]: each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]}


@pytest.fixture
def template(ec2: EC2Client, image: str) -> Callable[..., str]:
    """template(**LaunchTemplateData) -> the id of a new launch template."""

    def create(**data: Any) -> str:
        name = f"template-{len(ec2.describe_launch_templates()['LaunchTemplates'])}"
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, **data})
        return made["LaunchTemplate"]["LaunchTemplateId"]

    return create


@pytest.fixture
def fleet(ec2: EC2Client, template: Callable[..., str], subnets: dict[str, str]) -> Callable[..., str]:
    """fleet(target, types=..., zones=..., template=..., **more of the configuration) -> the fleet request's id."""

    def request(target: int, *, types: tuple[str, ...] = ("c5.large",), zones: str = "abc", **more: Any) -> str:
        used = more.pop("template", None) or template()
        override = more.pop("override", {})
        overrides = [
            {"InstanceType": kind, "SubnetId": subnets[REGION + zone]} | override for kind in types for zone in zones
        ]
        config: Any = {
            "Type": "request",
            "TargetCapacity": target,
            "IamFleetRole": FLEET_ROLE,
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": used, "Version": "$Latest"},
                    "Overrides": overrides,
                }
            ],
            **more,
        }
        return ec2.request_spot_fleet(SpotFleetRequestConfig=config)["SpotFleetRequestId"]

    return request


@pytest.fixture
def instances(ec2: EC2Client) -> Callable[..., list[Any]]:
    """instances(name=value, ...) -> all instances, by DescribeInstances' filters with `_` for `-`."""

    def found(**filters: str) -> list[Any]:
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        )
        return [each for page in pages for group in page["Reservations"] for each in group["Instances"]]

    return found


@pytest.fixture
def user_config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """user_config(NAME=VALUE, ...): what condor_config_val finds in the configuration of whoever runs a command."""
    folder = tmp_path_factory.mktemp("programs")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    program = folder / "condor_config_val"

    def write(**values: str) -> None:
        lines = (f"{name} = {value}\n # at: user_config, line 1\n" for name, value in values.items())
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{''.join(lines)}END\n")
        program.chmod(0o755)

    write()
    return write


@pytest.fixture
def run(
    local_cloud: LocalCloud,
    user_config: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """run(VERB, ...) -> exit status and all that was printed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    def type_in(verb: str, *more: str) -> tuple[int, str]:
        status = main([verb, "-endpoint", local_cloud.url, *more])
        printed = capsys.readouterr()
        text = printed.out + printed.err
        assert "very-hush" not in text
        return status, text

    return type_in


@pytest.fixture
def client(local_cloud: LocalCloud, session: boto3.Session) -> Callable[[str], Any]:
    """client(SERVICE) -> boto3's, for the local cloud."""
    return lambda service: session.client(service, endpoint_url=local_cloud.url)  # type: ignore[call-overload]


@pytest.fixture
def calls(control: Callable[..., Any]) -> Callable[[], list[str]]:
    """calls() -> the AWS calls since it was asked last, those that only ask left out."""

    def changing() -> list[str]:
        made = [call["action"] for call in control("GET", "/calls")]
        control("DELETE", "/calls")
        return [name for name in made if not name.startswith(("Describe", "Get", "List", "Head"))]

    return changing
