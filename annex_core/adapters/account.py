"""What an account holds of ours in one region, by asking AWS for what it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from annex_core.account.checks import BucketFacts, GroupFacts, Place
from annex_core.account.components import COMPONENT, SERVICE_ROLES, SSH_KEY, Component
from annex_core.account.remains import Living, Thing
from annex_core.account.roles import RoleFacts
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2_answers import tags_of
from annex_core.errors import Refused
from annex_core.model import tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_ec2.type_defs import IpPermissionOutputTypeDef
    from types_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

Answer = TypeVar("Answer")

_BUNDLE = "config-"
_LIVING_FLEETS = {"submitted", "active", "modifying", "cancelled_running"}
_NOT_TERMINATED = ["pending", "running", "shutting-down", "stopping", "stopped"]
_NO_BUCKET = {"404", "NoSuchBucket"}
_NOT_OURS = {"301", "400", "403", "AccessDenied"}
"""HeadBucket's answers have no body: a code is the HTTP status. 301 and 400: it is in another region."""
_UNSET = {
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
}


class AccountRegion:
    def __init__(self, region: AwsRegion, place: Place) -> None:
        self._reader = region.ec2_reader()
        self._writer = region.ec2_writer()
        self._s3 = region.s3()
        self._iam = region.iam()
        self._place = place

    # What the components are

    def bucket(self) -> BucketFacts | None:
        """None: there is none, or it is another account's."""
        named = {"Bucket": self._place.bucket, "ExpectedBucketOwner": self._place.account}
        if not self._has_bucket():
            return None
        block = _set("GetPublicAccessBlock", lambda: self._s3.get_public_access_block(**named))
        encryption = _set("GetBucketEncryption", lambda: self._s3.get_bucket_encryption(**named))
        policy = _set("GetBucketPolicy", lambda: self._s3.get_bucket_policy(**named))
        lifecycle = _set(
            "GetBucketLifecycleConfiguration", lambda: self._s3.get_bucket_lifecycle_configuration(**named)
        )
        switches: Mapping[str, Any] = block["PublicAccessBlockConfiguration"] if block else {}
        rules = encryption["ServerSideEncryptionConfiguration"]["Rules"] if encryption else []
        return BucketFacts(
            public_access_blocked=frozenset(name for name, on in switches.items() if on),
            encryption=next((rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules), None),
            policy=json.loads(policy["Policy"]) if policy else {},
            expires_days=_expiry(lifecycle["Rules"] if lifecycle else []),
        )

    def _has_bucket(self) -> bool:
        """By the list of the account's own: a bucket that is refused to us could be anybody's."""
        with aws_call("ListBuckets"):
            pages = self._s3.get_paginator("list_buckets").paginate(Prefix=self._place.bucket)
            return any(each["Name"] == self._place.bucket for page in pages for each in page["Buckets"])

    def bucket_is_anothers(self) -> bool:
        """Whether another account has the name; whether it lets us look doesn't matter."""
        if self._has_bucket():
            return False
        with aws_call("HeadBucket"):
            try:
                self._s3.head_bucket(Bucket=self._place.bucket)
            except ClientError as failure:
                if code_of(failure) in _NO_BUCKET:
                    return False
                if code_of(failure) not in _NOT_OURS:
                    raise
        return True

    def role(self, name: str) -> RoleFacts | None:
        trust = self._role(name)
        if trust is None:
            return None
        with aws_call("ListAttachedRolePolicies"):
            pages = self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
            attached = frozenset(each["PolicyArn"] for page in pages for each in page["AttachedPolicies"])
        with aws_call("ListRolePolicies"):
            inline_pages = self._iam.get_paginator("list_role_policies").paginate(RoleName=name)
            names = [each for page in inline_pages for each in page["PolicyNames"]]
        inline: dict[str, Any] = {}
        for each in names:
            with aws_call("GetRolePolicy"):
                inline[each] = self._iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
        return RoleFacts(trust, attached, inline)

    def profile_roles(self) -> frozenset[str] | None:
        """What the instance profile holds; None where there is none."""
        with aws_call("GetInstanceProfile"):
            try:
                found = self._iam.get_instance_profile(InstanceProfileName=self._place.instance_role)
            except ClientError as failure:
                if code_of(failure) == "NoSuchEntity":
                    return None
                raise
        return frozenset(each["RoleName"] for each in found["InstanceProfile"]["Roles"])

    def _role(self, name: str) -> Mapping[str, Any] | None:
        """Who may take a role; None where there is none."""
        with aws_call("GetRole"):
            try:
                trust: Any = self._iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
            except ClientError as failure:
                if code_of(failure) == "NoSuchEntity":
                    return None
                raise
        found: Mapping[str, Any] = trust
        return found

    def groups(self, component: Component) -> Sequence[GroupFacts]:
        with aws_call("DescribeSecurityGroups"):
            pages = self._reader.get_paginator("describe_security_groups").paginate(
                Filters=[{"Name": f"tag:{COMPONENT}", "Values": [component.name]}]
            )
            found = [each for page in pages for each in page["SecurityGroups"]]
        return [GroupFacts(each["GroupId"], tuple(_rules(each.get("IpPermissions", ())))) for each in found]

    def key_pairs(self) -> Sequence[str]:
        """The names of those that set-up made."""
        with aws_call("DescribeKeyPairs"):
            found = self._reader.describe_key_pairs(Filters=[{"Name": f"tag:{COMPONENT}", "Values": [SSH_KEY.name]}])
        return [each["KeyName"] for each in found["KeyPairs"]]

    # What set-up needs beside them

    def default_vpc(self) -> str:
        with aws_call("DescribeVpcs"):
            found = self._reader.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not found:
            raise Refused(f"{self._place.region} has no default VPC; say which one: -vpc vpc-...")
        return found[0]["VpcId"]

    def service_roles(self) -> list[str]:
        """The services whose role the account has."""
        return [service for service, name in SERVICE_ROLES.items() if self._role(name) is not None]

    def create_service_role(self, service: str) -> None:
        with aws_call("CreateServiceLinkedRole", changes=True):
            self._iam.create_service_linked_role(AWSServiceName=service)

    # What there is to take down, and what is left

    def living(self) -> Living:
        with aws_call("DescribeInstances"):
            pages = self._reader.get_paginator("describe_instances").paginate(
                Filters=[
                    {"Name": "tag-key", "Values": [tags.POOL]},
                    {"Name": "instance-state-name", "Values": _NOT_TERMINATED},
                ]
            )
            instances = {
                each["InstanceId"]: tags_of(each.get("Tags", ()))
                for page in pages
                for reservation in page["Reservations"]
                for each in reservation["Instances"]
            }
        with aws_call("DescribeSpotFleetRequests"):
            fleet_pages = self._reader.get_paginator("describe_spot_fleet_requests").paginate()
            fleets = {
                each["SpotFleetRequestId"]: tags_of(each.get("Tags", ()))
                for page in fleet_pages
                for each in page["SpotFleetRequestConfigs"]
                if each["SpotFleetRequestState"] in _LIVING_FLEETS
            }
        return Living(instances, {fleet: its for fleet, its in fleets.items() if tags.POOL in its})

    def tagged(self) -> Sequence[Thing]:
        """All of EC2 that carries a tag of ours; what is terminated may still be among it."""
        with aws_call("DescribeTags"):
            pages = self._reader.get_paginator("describe_tags").paginate(
                Filters=[{"Name": "key", "Values": [f"{tags.PREFIX}*"]}]
            )
            found = {(each["ResourceType"], each["ResourceId"]) for page in pages for each in page["Tags"]}
        return [Thing(kind, name) for kind, name in sorted(found)]

    def others(self) -> Iterator[Thing]:
        """What of ours isn't EC2's, and would be there without a stack."""
        if self._has_bucket():
            yield Thing("bucket", self._place.bucket)
        for role in (self._place.fleet_role, self._place.instance_role):
            if self._role(role) is not None:
                yield Thing("role", role)
        if self.profile_roles() is not None:
            yield Thing("instance profile", self._place.instance_role)

    def roles(self) -> list[str]:
        """The names of all roles of the account, whosever they are; IAM lists them by no name's beginning."""
        with aws_call("ListRoles"):
            pages = self._iam.get_paginator("list_roles").paginate()
            return [each["RoleName"] for page in pages for each in page["Roles"]]

    def empty_bucket(self) -> int:
        """
        Returns:
            How many bundles were among what was deleted.
        """
        if not self._has_bucket():
            return 0
        bucket, owner = self._place.bucket, self._place.account
        deleted = 0
        with aws_call("ListObjectsV2"):
            pages = list(self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, ExpectedBucketOwner=owner))
        for page in pages:
            keys = [each["Key"] for each in page.get("Contents", ())]
            if keys:
                with aws_call("DeleteObjects", changes=True):
                    answer = self._s3.delete_objects(
                        Bucket=bucket,
                        ExpectedBucketOwner=owner,
                        Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
                    )
                if errors := answer.get("Errors"):
                    raise Refused(f"DeleteObjects: {errors[0].get('Key')}: {errors[0].get('Message')}")
                deleted += sum(key.startswith(_BUNDLE) for key in keys)
        return deleted

    def delete_template(self, template: str) -> None:
        with aws_call("DeleteLaunchTemplate", changes=True):
            self._writer.delete_launch_template(LaunchTemplateId=template)


def _set(name: str, ask: Callable[[], Answer]) -> Answer | None:
    """What a setting of a bucket is; None where it isn't set."""
    with aws_call(name):
        try:
            return ask()
        except ClientError as failure:
            if code_of(failure) in _UNSET:
                return None
            raise


def _expiry(rules: Iterable[LifecycleRuleOutputTypeDef]) -> int | None:
    """Of the rules for all objects the soonest."""
    days = [
        rule["Expiration"]["Days"]
        for rule in rules
        if rule["Status"] == "Enabled"
        and "Days" in rule.get("Expiration", {})
        and rule.get("Filter", {}) in ({}, {"Prefix": ""})
        and not rule.get("Prefix")
    ]
    return min(days, default=None)


def _rules(permissions: Iterable[IpPermissionOutputTypeDef]) -> Iterator[str]:
    for each in permissions:
        what = "everything" if each["IpProtocol"] == "-1" else f"{each['IpProtocol']} {_ports(each)}"
        sources = [
            *(found["CidrIp"] for found in each.get("IpRanges", ())),
            *(found["CidrIpv6"] for found in each.get("Ipv6Ranges", ())),
            *(found["PrefixListId"] for found in each.get("PrefixListIds", ())),
            *(found["GroupId"] for found in each.get("UserIdGroupPairs", ())),
        ]
        for source in sources:
            yield f"{what} from {source}"


def _ports(permission: IpPermissionOutputTypeDef) -> str:
    low, high = permission.get("FromPort"), permission.get("ToPort")
    return f"{low}" if low == high else f"{low}-{high}"
