"""What AWS tells of a route before its first launch; some fifteen calls, none of which changes anything."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from annex_core.account.checks import Finding
from annex_core.account.components import SERVICE_ROLES
from annex_core.account.preflight import Facts, Key, Objection, Subnet, needed_services, preflight
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import DEFAULT_FOR_ZONE, Ec2Cloud
from annex_core.errors import NotPermitted
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.quota import quota_code, vcpu_class
from annex_core.model.route import DEFAULT_SUBNETS, Market, Route
from annex_core.model.tags import AnnexTags
from annex_core.ports import LaunchRequest, Override, TemplateRequest

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import RouteTableTypeDef

_AWS_KEY = "alias/aws/ebs"
_NOBODY = AnnexKey("nobody", "preflight")


@dataclass(frozen=True)
class Pool:
    """Whose machines they would be."""

    name: str
    access_point: str


class Preflight:
    def __init__(self, region: AwsRegion, cloud: Ec2Cloud, pool: Pool) -> None:
        self._region = region
        self._cloud = cloud
        self._pool = pool

    def findings(self, route: Route, now: datetime) -> list[Finding]:
        """
        Raises:
            AnnexError: AWS doesn't answer, or has no such image, key pair or subnet.
        """
        return [*preflight(route, self.facts(route, now))]

    def facts(self, route: Route, now: datetime) -> Facts:
        """
        Raises:
            AnnexError: AWS doesn't answer, or has no such image, key pair or subnet; what a policy keeps from us is
                unknown.
        """
        unknown: list[str] = []
        types = self._cloud.instance_types(route.instance_types)
        image = self._cloud.resolve_image(route.image)
        subnets: Sequence[Subnet] | None = None
        with _if_permitted(unknown):
            subnets = self._subnets(route)
            if route.key_name:
                self._cloud.need_key_pair(route.key_name)
        quotas: dict[str, float] = {}
        with _if_permitted(unknown):
            quotas = self._quotas(route, types)
        services: frozenset[str] | None = None
        with _if_permitted(unknown):
            services = self._services(route)
        keys: Sequence[Key] | None = None
        with _if_permitted(unknown):
            keys = self._keys(image)
        objections = self._objections(route, types, image, now)
        with aws_call("GetCallerIdentity"):
            identity = self._region.sts().get_caller_identity()
        return Facts(
            types=types,
            quotas=quotas,
            subnets=subnets,
            services=services,
            keys=keys,
            objections=objections,
            account=identity["Account"],
            partition=identity["Arn"].split(":")[1],
            unknown=tuple(unknown),
        )

    def _objections(
        self, route: Route, types: Mapping[str, InstanceType], image: str, now: datetime
    ) -> tuple[Objection, ...]:
        """Of the calls that a launch by this route takes; that there is no capacity just now is none."""
        if not types:
            return ()
        token = uuid.uuid4().hex
        tags = AnnexTags(
            key=_NOBODY,
            project=route.name,
            route=route.name,
            pool=self._pool.name,
            access_point=self._pool.access_point,
            lease_ends=now + route.lifetime,
            ends_at_latest=now + route.max_lifetime,
            extra=route.tags,
        ).as_dict()
        request = LaunchRequest(
            api=route.api,
            market=Market.ON_DEMAND if route.market is Market.ON_DEMAND else Market.SPOT,
            client_token=token,
            template=TemplateRequest(
                name=f"condor-annex-{token}",
                client_token=token,
                image=image,
                user_data="",
                tags=tags,
                security_groups=route.security_groups,
                key_name=route.key_name,
                instance_profile=route.instance_profile,
                metadata_tokens=route.metadata_tokens,
                volume_gib=route.volume_gib,
            ),
            overrides=(Override(next(iter(types)), _somewhere(route), None),),
            target=1,
            allocation_strategy=route.allocation_strategy,
            valid_from=now,
            valid_until=now + timedelta(hours=1),
            fleet_role=route.fleet_role,
            tags=tags,
        )
        found = self._cloud.objections(request, image)
        return tuple(dict.fromkeys(Objection(str(each), isinstance(each, NotPermitted)) for each in found))

    def _quotas(self, route: Route, types: Mapping[str, InstanceType]) -> dict[str, float]:
        codes = {quota_code(kind, route.market) for name in types if (kind := vcpu_class(name))}
        client, found = self._region.quotas(), {}
        for code in sorted(filter(None, codes)):
            with aws_call("GetServiceQuota"):
                found[code] = client.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
        return found

    def _subnets(self, route: Route) -> Sequence[Subnet]:
        if not route.subnets:
            return ()
        reader = self._region.ec2_reader()
        with aws_call("DescribeSubnets"):
            found = (
                reader.describe_subnets(Filters=[DEFAULT_FOR_ZONE])
                if DEFAULT_SUBNETS in route.subnets
                else reader.describe_subnets(SubnetIds=list(route.subnets))
            )["Subnets"]
        networks = sorted({each["VpcId"] for each in found})
        with aws_call("DescribeRouteTables"):
            pages = reader.get_paginator("describe_route_tables").paginate(
                Filters=[{"Name": "vpc-id", "Values": networks}]
            )
            tables = [table for page in pages for table in page["RouteTables"]]
        return [
            Subnet(
                id=each["SubnetId"],
                free=each["AvailableIpAddressCount"],
                public=each.get("MapPublicIpOnLaunch", False),
                table=table["RouteTableId"] if table else "",
                ways=frozenset(_ways(table)) if table else frozenset(),
            )
            for each in found
            for table in [_table(each["SubnetId"], each["VpcId"], tables)]
        ]

    def _services(self, route: Route) -> frozenset[str]:
        iam, present = self._region.iam(), set()
        for service in sorted(needed_services(route)):
            with aws_call("GetRole"):
                try:
                    iam.get_role(RoleName=SERVICE_ROLES[service])
                except ClientError as failure:
                    if code_of(failure) == "NoSuchEntity":
                        continue
                    raise
            present.add(service)
        return frozenset(present)

    def _keys(self, image: str) -> Sequence[Key]:
        """Those of the account's own that a machine's volumes are encrypted with: EBS's default, and its image's."""
        reader = self._region.ec2_reader()
        with aws_call("GetEbsDefaultKmsKeyId"):
            names = {reader.get_ebs_default_kms_key_id()["KmsKeyId"]}
        with aws_call("DescribeImages"):
            [found] = reader.describe_images(ImageIds=[image])["Images"]
        disks = [each["Ebs"] for each in found.get("BlockDeviceMappings", ()) if "Ebs" in each]
        encrypted = [each["SnapshotId"] for each in disks if each.get("Encrypted") and "SnapshotId" in each]
        if encrypted:
            with aws_call("DescribeSnapshots"):
                snapshots = reader.describe_snapshots(SnapshotIds=encrypted)["Snapshots"]
            names |= {each["KmsKeyId"] for each in snapshots if "KmsKeyId" in each}
        own = (self._key(name) for name in sorted(names) if not name.endswith(_AWS_KEY))
        return [key for key in own if key]

    def _key(self, name: str) -> Key | None:
        """None for a key of AWS's."""
        kms = self._region.kms()
        with aws_call("DescribeKey"):
            told = kms.describe_key(KeyId=name)["KeyMetadata"]
        if told.get("KeyManager") == "AWS":
            return None
        arn = told.get("Arn", name)
        with aws_call("ListGrants"):
            pages = kms.get_paginator("list_grants").paginate(KeyId=arn)
            grantees = [each.get("GranteePrincipal", "") for page in pages for each in page["Grants"]]
        with aws_call("GetKeyPolicy"):
            policy = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
        lent = {role for role in SERVICE_ROLES.values() if any(each.endswith(f"/{role}") for each in grantees)}
        # A policy that names the role at all was written for it.
        lent |= {role for role in SERVICE_ROLES.values() if f'/{role}"' in policy}
        return Key(arn, told.get("KeyState") == "Enabled", frozenset(lent))


def _somewhere(route: Route) -> str | None:
    """A subnet of the route's; without one EC2 takes a default one."""
    return next((subnet for subnet in route.subnets if subnet != DEFAULT_SUBNETS), None)


@contextmanager
def _if_permitted(unknown: list[str]) -> Iterator[None]:
    try:
        yield
    except NotPermitted as error:
        unknown.append(str(error))


def _table(subnet: str, network: str, tables: Sequence[RouteTableTypeDef]) -> RouteTableTypeDef | None:
    """The subnet's own, else its network's main one."""
    for table in tables:
        if any(each.get("SubnetId") == subnet for each in table.get("Associations", ())):
            return table
    return next(
        (
            table
            for table in tables
            if table.get("VpcId") == network and any(each.get("Main") for each in table.get("Associations", ()))
        ),
        None,
    )


def _ways(table: RouteTableTypeDef) -> Iterator[str]:
    for each in table.get("Routes", ()):
        if each.get("State") == "blackhole":
            continue
        way = (
            each.get("GatewayId")
            or each.get("NatGatewayId")
            or each.get("TransitGatewayId")
            or each.get("EgressOnlyInternetGatewayId")
            or each.get("VpcPeeringConnectionId")
            or each.get("LocalGatewayId")
            or each.get("NetworkInterfaceId")
            or each.get("InstanceId")
        )
        if way and way != "local":
            yield way
