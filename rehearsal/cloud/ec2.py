"""EC2 in one region: moto's records, with the launches, ends and tags of a cloud where machines really boot."""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidInstanceIdError,
    InvalidLaunchTemplateIdNotFound,
    InvalidSubnetConflictError,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociation
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceState, Reservation
from moto.ec2.models.key_pairs import KeyPair
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, convert_tag_spec, get_prefix
from moto.moto_api._internal import mock_random

from rehearsal.cloud.fleets import Fleets
from rehearsal.cloud.instant import InstantFleets
from rehearsal.cloud.life import BY_API, PENDING, Lives
from rehearsal.cloud.world import World

RESERVED = IPv4Network("172.31.240.0/20")
"""Of the default VPC: the local cloud itself and the pool's own hosts live there, never an instance."""

_METADATA_KEY = re.compile(r"(?!\.{1,2}$|_index$)[0-9A-Za-z\-_+=,.@:]{1,255}")
_ROOT_VOLUME = {"VolumeSize": 8, "DeleteOnTermination": True}
_FILTERS: dict[str, Callable[[Instance], object]] = {
    "client-token": lambda instance: instance.client_token,
    "instance-lifecycle": lambda instance: instance.lifecycle or "scheduled",
    "instance-state-code": lambda instance: str(instance.state_code),
    "spot-instance-request-id": lambda instance: getattr(instance, "spot_instance_request_id", None),
}
"""Filters of DescribeInstances that moto answers with an error."""


IMAGES = ("", "bare", "service")
"""What images are called, behind `condor-annex-rehearsal`: the ordinary one and two for special boots."""


def image_of(region: str, name: str = "") -> str:
    """An image of a region; AWS's ids differ by region, and so do these."""
    return "ami-0" + sha256(f"{region}{name}".encode()).hexdigest()[:16]


class LocalEC2Backend(EC2Backend):
    def __init__(self, region_name: str, account_id: str, world: World, lives: Lives) -> None:
        self.world = world
        self.lives = lives
        self.answers: dict[tuple[str, str], tuple[str, Any]] = {}
        """By action and client token: the request that came with it, and its answer."""
        # Like images, subnets have the same ids in every rehearsal, so that a route can name them.
        mock_random.seed(f"{account_id} {region_name}")
        super().__init__(region_name, account_id)
        self._open_default_vpc()
        mock_random.seed()
        self.spot = Fleets(self, world, lives)
        self.instant = InstantFleets(self, world, lives)
        for name in IMAGES:
            image = image_of(region_name, name)
            self.amis[image] = Ami(
                self,
                image,
                name=f"condor-annex-rehearsal-{name}".rstrip("-"),
                architecture="x86_64",
                virtualization_type="hvm",
                root_device_name="/dev/sda1",
                root_device_type="ebs",
                region_name=f"{region_name}a",
            )

    def _open_default_vpc(self) -> None:
        """A default VPC has an internet gateway, and a route to it, which moto leaves out."""
        vpc = self.get_default_vpc()
        if vpc is None:
            return
        gateway = self.create_internet_gateway()
        self.attach_internet_gateway(gateway.id, vpc.id)
        [main] = self.describe_route_tables(filters={"vpc-id": [vpc.id], "association.main": ["true"]})
        self.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)

    def reset(self) -> None:
        """Nothing: mock_aws elsewhere in this process resets every account's backends, and this cloud goes on."""

    def _load_amis(self) -> None:
        """None of moto's thousand: each launch would look through them all."""

    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Base64EncodedString | None,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Reservation:
        """
        Launch exactly *count*; beside moto's arguments there are

        Args:
            fleet: The Spot Fleet request that launches.
            profile: The instance profile, as AWS's IamInstanceProfile structure.
        """
        fleet = kwargs.pop("fleet", None)
        template = self._template_data(kwargs.get("launch_template"))
        profile = kwargs.pop("profile", None) or template.get("IamInstanceProfile")
        own_tags, template_tags = kwargs.pop("tags", {}), convert_tag_spec(template.get("TagSpecifications", []))
        tags = {kind: template_tags.get(kind, {}) | own_tags.get(kind, {}) for kind in ("instance", "volume")}
        for argument, name in (
            ("metadata_options", "MetadataOptions"),
            ("instance_initiated_shutdown_behavior", "InstanceInitiatedShutdownBehavior"),
            ("nics", "NetworkInterfaces"),
        ):
            kwargs[argument] = kwargs.get(argument) or template.get(name) or kwargs.get(argument)
        # As accounts and images of late have it, where a launch says nothing.
        kwargs["metadata_options"] = {"HttpTokens": "required"} | (kwargs["metadata_options"] or {})
        kwargs["block_device_mappings"] = _volumes(
            kwargs.get("block_device_mappings") or template.get("BlockDeviceMappings") or []
        )
        if not kwargs.get("subnet_id") and not any("SubnetId" in interface for interface in kwargs["nics"] or []):
            kwargs["subnet_id"] = self._default_subnet(kwargs.get("placement"))
        self._check_addresses(kwargs.get("subnet_id"), count)
        self._check_launch(image_id or template.get("ImageId", ""), kwargs, template, tags["instance"])
        reservation = super().run_instances(
            image_id, count, user_data, security_group_names, tags=tags, region_name=self.region_name, **_given(kwargs)
        )
        for instance in reservation.instances:
            life = self.lives.add(
                instance, release=self._release, fleet=fleet, image=self._image_name(str(instance.image_id))
            )
            life.tags.append((0.0, dict(self.tags.get(instance.id, {}))))
            if profile:
                self.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))
        return reservation

    def associate_iam_instance_profile(
        self,
        instance_id: str,
        iam_instance_profile_name: str | None = None,
        iam_instance_profile_arn: str | None = None,
    ) -> IamInstanceProfileAssociation:
        """As moto does by itself after a RunInstances that names one; the instance's metadata tells of it too."""
        made = super().associate_iam_instance_profile(instance_id, iam_instance_profile_name, iam_instance_profile_arn)
        if life := self.lives.get(instance_id):
            life.profile = made.iam_instance_profile
        return made

    def _image_name(self, image: str) -> str:
        return next((name for name in IMAGES if image_of(self.region_name, name) == image), "")

    def _default_subnet(self, zone: str | None) -> str | None:
        """Of that zone, else of the first: without one moto falls back on the classic network and its addresses."""
        subnet = self.get_default_subnets().get(zone or f"{self.region_name}a")
        return subnet.id if subnet else None

    def _template_data(self, named: Mapping[str, Any] | None) -> dict[str, Any]:
        return dict(self._get_template_from_args(dict(named)).data) if named else {}

    def _check_addresses(self, subnet: str | None, count: int) -> None:
        if subnet and self.get_subnet(subnet).available_ip_address_count < count:
            raise EC2ClientError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{subnet}' to satisfy the request.",
            )

    def _check_launch(
        self, image: str, kwargs: Mapping[str, Any], template: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        self.describe_images(ami_ids=[image])
        default = kwargs.get("is_instance_type_default")
        wanted = template.get("InstanceType", "m1.small") if default else kwargs["instance_type"]
        if wanted not in INSTANCE_TYPES:
            raise EC2ClientError("InvalidParameterValue", f"Invalid value '{wanted}' for InstanceType.")
        if (kwargs.get("metadata_options") or {}).get("InstanceMetadataTags") == "enabled":
            _check_metadata_keys(tags)

    def _release(self, instance: Instance) -> None:
        """Network interface, address and volumes of an instance whose machine is gone."""
        instance.terminate()
        for interface in instance.nics.values():
            if interface.id in self.enis:
                self.delete_network_interface(interface.id)
        subnet = self.get_subnet(str(instance.subnet_id))
        for address in instance._private_ips:  # noqa: SLF001 - moto frees them only when the record is collected
            subnet.del_subnet_ip(address)
        instance._private_ips.clear()  # noqa: SLF001 - or it frees them again, under a later instance's feet

    # Ends

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        if not instance_ids:
            raise EC2ClientError("InvalidParameterCombination", "No instances specified")
        instances = self.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            if instance.disable_api_termination:
                raise EC2ClientError(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be terminated. "
                    "Modify its 'disableApiTermination' instance attribute and try again.",
                )
        return [self._end(instance, stop=False) for instance in instances]

    def stop_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        instances = self.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            if instance.lifecycle == "spot":
                raise EC2ClientError(
                    "UnsupportedOperation",
                    f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot "
                    "Instance request. You can only stop Spot Instances associated with persistent requests.",
                )
        return [self._end(instance, stop=True) for instance in instances]

    def _end(self, instance: Instance, *, stop: bool) -> tuple[Instance, InstanceState]:
        before = InstanceState(instance.state, instance.state_code)
        if life := self.lives.get(instance.id):
            self.lives.end(life, BY_API, stop=stop)
        return instance, before

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        started = []
        for instance in self.get_multi_instances_by_id(instance_ids):
            before = InstanceState(instance.state, instance.state_code)
            life = self.lives.get(instance.id)
            if life and instance.state == "stopped":
                life.handle, life.boots_at = None, self.world.clock.now() + self.world.settings.boot_delay_s
                life.enter(PENDING)
            started.append((instance, before))
        return started

    # Tags

    def create_tags(self, resource_ids: list[str], tags: dict[str, str]) -> bool:
        for life in filter(None, map(self.lives.get, resource_ids)):
            if life.instance.metadata_options.instance_metadata_tags == "enabled":
                _check_metadata_keys(tags)
        done = super().create_tags(resource_ids, tags)
        self._note_tags(resource_ids)
        return done

    def delete_tags(self, resource_ids: list[str], tags: dict[str, str]) -> bool:
        done = super().delete_tags(resource_ids, tags)
        self._note_tags(resource_ids)
        return done

    def _note_tags(self, resource_ids: list[str]) -> None:
        shown_at = self.world.clock.now() + self.world.settings.tag_delay_s
        for life in filter(None, map(self.lives.get, resource_ids)):
            life.tags.append((shown_at, dict(self.tags.get(life.instance.id, {}))))

    def do_resources_exist(self, resource_ids: list[str]) -> bool:
        for resource in resource_ids:
            if resource.startswith("i-") and not self.lives.get(resource):
                raise InvalidInstanceIdError(resource)
        return super().do_resources_exist(resource_ids)

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """By exact resource ids from the index; moto itself goes through every tag there is for each question."""
        ids = (filters or {}).get("resource-id", [])
        if not ids or len(filters or {}) > 1 or any(set(resource) & set("*?\\[") for resource in ids):
            return super().describe_tags(filters)
        return [
            {
                "resource_id": resource,
                "key": key,
                "value": value,
                "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource), ""),
            }
            for resource in ids
            for key, value in self.tags.get(resource, {}).items()
        ]

    # Listings and the rest

    def all_reservations(self, filters: Any = None) -> list[Reservation]:
        ours = {name: filters[name] for name in filters or {} if name in _FILTERS}
        theirs = {name: filters[name] for name in filters or {} if name not in _FILTERS}
        found = super().all_reservations(theirs or None)
        for reservation in found if ours else []:
            reservation.instances = [
                instance
                for instance in reservation.instances
                if all(_FILTERS[name](instance) in wanted for name, wanted in ours.items())
            ]
        return [reservation for reservation in found if reservation.instances]

    def describe_volumes(self, volume_ids: list[str] | None = None, filters: Any = None) -> list[Volume]:
        """By id without moto's search through all of them, which each launch does."""
        if volume_ids and not filters:
            return [self.get_volume(volume) for volume in volume_ids]
        return super().describe_volumes(volume_ids, filters)

    def describe_launch_templates(
        self, template_names: list[str] | None = None, template_ids: list[str] | None = None, filters: Any = None
    ) -> list[LaunchTemplate]:
        for template in template_ids or []:
            if template not in self.launch_templates:
                raise InvalidLaunchTemplateIdNotFound(template)
        found = super().describe_launch_templates(template_names, template_ids, filters)
        for template_found in found:
            template_found.tags = template_found.get_tags()  # moto shows those of its making for ever
        return found

    def delete_launch_template(self, name: str, tid: str | None) -> LaunchTemplate:
        if tid and tid not in self.launch_templates:
            raise InvalidLaunchTemplateIdNotFound(tid)
        template = super().delete_launch_template(name, tid)
        self.tags.pop(template.id, None)
        return template

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        super().delete_security_group(name, group_id)
        self.tags.pop(group_id or "", None)

    def delete_key_pair(self, name: str) -> KeyPair | None:
        pair = super().delete_key_pair(name)
        if pair:
            self.tags.pop(pair.id, None)
        return pair

    def create_subnet(self, vpc_id: str, cidr_block: str, *args: Any, **kwargs: Any) -> Subnet:
        default = getattr(self, "default_vpc", None)
        if default and vpc_id == default.id and IPv4Network(cidr_block).overlaps(RESERVED):
            raise InvalidSubnetConflictError(cidr_block)
        return super().create_subnet(vpc_id, cidr_block, *args, **kwargs)


def _volumes(mappings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Block device mappings with EC2's defaults filled in; the root volume where none is mentioned."""
    mappings = mappings or [{"DeviceName": "/dev/sda1"}]
    return [mapping | {"Ebs": _ROOT_VOLUME | mapping.get("Ebs", {})} for mapping in mappings]


def _given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Without the arguments that are None, which moto would take over its own defaults."""
    return {name: value for name, value in kwargs.items() if value is not None and name != "region_name"}


def _check_metadata_keys(tags: Mapping[str, str]) -> None:
    for key in tags:
        if not _METADATA_KEY.fullmatch(key):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), "
                "and must not be a reserved name ('.', '..', '_index')",
            )
