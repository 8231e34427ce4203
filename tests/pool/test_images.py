"""
Images that are not made for us: one with neither HTCondor nor curl, and HTCondor's own for annexes.

The second runs condor-annex-ec2 as Debian's package of that name has it, against the local cloud's metadata, EC2, IAM
and S3. It finds its bundle by a client token and by what the role that set-up makes may read.
"""

import base64
import http.server
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from annex_core.account.components import INSTANCE_ROLE
from annex_core.model.names import client_token
from annex_core.model.tags import stamp
from rehearsal.image import MIRROR, Images
from tests.pool.boot_site import HOUR, Site, standing

VERSION_1 = {"HttpTokens": "optional"}
JOB = "id -un; curl -s -m 5 http://169.254.169.254/latest/meta-data/; echo $?"
NO_ENCRYPTION = {"80-rehearsal.config": b"ENCRYPT_EXECUTE_DIRECTORY = FALSE\n"}
"""The service's own configuration asks for it; a machine in a namespace has no keys of the kernel for it."""
NOTHING = "#!/bin/sh\nexit 0\n"


@pytest.fixture(scope="module")
def site(images: Images, mount_point: Path, cloud: str) -> Iterator[Site]:
    with standing(images, mount_point, cloud) as site:
        yield site


class _Mirror(http.server.SimpleHTTPRequestHandler):
    """Serves its directory where MIRROR says."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(urlsplit(MIRROR).path))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(images: Images) -> Iterator[None]:
    address = urlsplit(MIRROR)
    assert address.hostname
    assert address.port

    def handler(*arguments: object) -> _Mirror:
        return _Mirror(*arguments, directory=images.mirror)  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer((address.hostname, address.port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("mirror")
def test_a_plain_debian_becomes_an_execution_point_by_user_data_alone(site: Site, images: Images) -> None:
    assert not any(os.path.lexists(f"{images.bare}/usr/{name}") for name in ("sbin/condor_master", "bin/curl"))
    instance = site.launch("plain", image="bare", idle=10)
    said = site.run("id -un; tr a-z A-Z < in > made", "plain")
    assert (said["out"], said["made"]) == ("nobody\n", "TEXT\n")
    console = site.wait_for_end(instance)
    assert "HTCondor is installed, in " in console
    assert "condor_master has ended (status 0)" in console


@pytest.fixture(scope="module")
def profile(site: Site) -> str:
    """The instance profile that set-up makes; its name."""
    formation = site.client("cloudformation")
    formation.create_stack(
        StackName=INSTANCE_ROLE.stack, TemplateBody=INSTANCE_ROLE.template(), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    [stack] = formation.describe_stacks(StackName=INSTANCE_ROLE.stack)["Stacks"]
    return str(stack["Outputs"][0]["OutputValue"])


class TestImagesWithHTCondorsOwnBootService:
    def test_on_demand_the_bundle_is_found_by_the_instances_client_token(self, site: Site, profile: str) -> None:
        site.store("seed", idle=10, more=NO_ENCRYPTION)
        instance = site.boot(
            NOTHING,
            ImageId=site.image("service"),
            ClientToken=client_token("seed", "1"),
            IamInstanceProfile={"Name": profile},
            MetadataOptions=VERSION_1,
        )
        self._works_and_ends(site, "seed", instance)

    def test_of_a_spot_fleet_it_is_found_by_the_fleets(self, site: Site, profile: str) -> None:
        site.store("fleet", idle=10, more=NO_ENCRYPTION)
        template = site.ec2.create_launch_template(
            LaunchTemplateName="boot-service",
            LaunchTemplateData={
                "ImageId": site.image("service"),
                "UserData": base64.b64encode(NOTHING.encode()).decode(),
                "IamInstanceProfile": {"Name": profile},
                "MetadataOptions": VERSION_1,
                "InstanceInitiatedShutdownBehavior": "terminate",
            },
        )["LaunchTemplate"]["LaunchTemplateId"]
        site.ec2.request_spot_fleet(
            SpotFleetRequestConfig={
                "ClientToken": client_token("fleet", "1"),
                "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
                "TargetCapacity": 1,
                "Type": "request",
                "ValidUntil": stamp(datetime.now(UTC) + HOUR),
                "TerminateInstancesWithExpiration": True,
                "LaunchTemplateConfigs": [
                    {
                        "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
                        "Overrides": [{"InstanceType": "c5.large"}],
                    }
                ],
            }
        )
        self._works_and_ends(site, "fleet", None)

    @staticmethod
    def _works_and_ends(site: Site, annex: str, instance: str | None) -> None:
        try:
            said = site.run(JOB, annex)
        except TimeoutError as error:
            error.add_note(site.control.machines()[-1]["console"])
            raise
        assert said["out"] == "nobody\n7\n"
        site.wait_for_end(instance or site.control.machines()[-1]["id"])
