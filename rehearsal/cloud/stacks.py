"""CloudFormation where moto's answer isn't AWS's: stacks take time, fail, roll back, hold all that was said."""

# ruff: noqa: ARG003 - the signatures are moto's

import json
from collections.abc import Iterator
from typing import Any, Self

from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.cloudformation.parsing import OutputMap, clean_json
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.iam.access_control import PermissionResult
from moto.iam.models import IAMBackend, iam_backends
from moto.s3.models import S3Backend, s3_backends

from rehearsal.cloud.world import World


class InsufficientCapabilities(CloudFormationError):  # noqa: N818 - named as AWS names it
    code = "InsufficientCapabilitiesException"


class _Named:
    """A part that moto itself can't make, known by a name. moto looks among CloudFormationModel's direct subclasses."""

    def __init__(self, physical_id: str) -> None:
        self.physical_resource_id = physical_id

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return False


class BucketPolicy(_Named, CloudFormationModel):
    """Kept, and not enforced: moto ignores conditions, and the wire here has no TLS."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Self:
        name, document = (cloudformation_json["Properties"][key] for key in ("Bucket", "PolicyDocument"))
        bucket = s3_backends[account_id]["aws"].get_bucket(name)
        bucket.policy = json.dumps(document).encode()
        bucket.get_permission = lambda *_: PermissionResult.NEUTRAL  # type: ignore[method-assign]
        return cls(name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Self,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Self:
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str
    ) -> None:
        if bucket := s3_backends[account_id]["aws"].buckets.get(resource_name):
            bucket.policy = None


class KeyPair(_Named, CloudFormationModel):
    """Only with a public key that was made elsewhere."""

    @staticmethod
    def cloudformation_name_type() -> str:
        return "KeyName"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::EC2::KeyPair"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Self:
        properties = cloudformation_json["Properties"]
        ec2_backends[account_id][region_name].import_key_pair(
            properties["KeyName"], properties["PublicKeyMaterial"].encode(), {}
        )
        return cls(properties["KeyName"])

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str
    ) -> None:
        ec2_backends[account_id][region_name].delete_key_pair(cloudformation_json["Properties"]["KeyName"])


class LocalStacks(CloudFormationBackend):
    """The stacks of one region. What is in them is made at once; that it is made is said after stack_delay_s."""

    def __init__(self, region: str, account: str, world: World) -> None:
        super().__init__(region, account)
        self._world = world
        self._late: dict[str, tuple[float, str]] = {}

    def create_stack(self, name: str, *args: Any, **more: Any) -> Stack:
        try:
            stack = super().create_stack(name, *args, **more)
            self._fill_in(stack)
        except CloudFormationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, AWS would roll back
            stack = self.get_stack(name)
            self._event(stack, self._unmade(stack), "CREATE_FAILED", str(error))
            self._undo(stack)
            self._becomes(stack, "ROLLBACK_COMPLETE")
        else:
            self._becomes(stack, "CREATE_COMPLETE")
        return stack

    def update_stack(self, name: str, *args: Any, **more: Any) -> Stack:
        stack = super().update_stack(name, *args, **more)
        self._fill_in(stack)
        self._becomes(stack, "UPDATE_COMPLETE")
        return stack

    def delete_stack(self, name_or_stack_id: str) -> None:
        try:
            stack = self.get_stack(name_or_stack_id)
        except ValidationError:
            return
        stack._add_stack_event("DELETE_IN_PROGRESS", "User Initiated")  # noqa: SLF001 - moto has no other
        kept = list(self._kept(stack))
        for logical_id, reason in kept:
            self._event(stack, logical_id, "DELETE_FAILED", reason)
        if kept:
            self._becomes(stack, "DELETE_FAILED")
            return
        self._undo(stack)
        self._becomes(stack, "DELETE_COMPLETE")

    def describe_stacks(self, name_or_stack_id: str) -> list[Stack]:
        self._catch_up()
        return super().describe_stacks(name_or_stack_id)

    def get_stack(self, name_or_stack_id: str) -> Stack:
        self._catch_up()
        return super().get_stack(name_or_stack_id)

    def delete_failed(self, name: str) -> None:
        """What OnFailure = DELETE does to a stack that was rolled back."""
        stack = self.get_stack(name)
        if stack.status.startswith("ROLLBACK"):
            self._becomes(stack, "DELETE_COMPLETE")

    # In time

    def _becomes(self, stack: Stack, status: str) -> None:
        stack.status = status.partition("_")[0] + "_IN_PROGRESS"
        self._late[stack.stack_id] = (self._world.clock.now() + self._world.settings.stack_delay_s, status)
        self._catch_up()

    def _catch_up(self) -> None:
        now = self._world.clock.now()
        for stack_id in [stack_id for stack_id, (due, _) in self._late.items() if due <= now]:
            stack = self.stacks[stack_id]
            stack.status = self._late.pop(stack_id)[1]
            if stack.status == "DELETE_COMPLETE":
                self.deleted_stacks[stack_id] = self.stacks.pop(stack_id)

    def _event(self, stack: Stack, logical_id: str, status: str, reason: str) -> None:
        stack._add_stack_event(status, reason)  # noqa: SLF001 - moto has no other
        event = stack.events[-1]
        event.logical_resource_id = logical_id
        event.resource_type = stack.template_dict["Resources"][logical_id]["Type"]

    # What is in a stack

    def _unmade(self, stack: Stack) -> str:
        made = stack.resource_map._parsed_resources  # noqa: SLF001 - moto has no other
        return next(str(name) for name in stack.template_dict["Resources"] if name not in made)

    def _fill_in(self, stack: Stack) -> None:
        """What moto leaves out of a template."""
        for logical_id, resource in stack.template_dict["Resources"].items():
            properties = clean_json(resource.get("Properties", {}), stack.resource_map)
            thing: Any = stack.resource_map[logical_id]
            match resource["Type"]:
                case "AWS::S3::Bucket":
                    self._fill_in_bucket(thing.name, properties, stack.tags)
                case "AWS::IAM::Role":
                    self._fill_in_role(thing.name, properties, stack.tags)
                case "AWS::EC2::KeyPair":
                    ec2 = ec2_backends[self.account_id][self.region_name]
                    ec2.create_tags([ec2.key_pairs[properties["KeyName"]].id], stack.tags)

    def _fill_in_bucket(self, name: str, properties: dict[str, Any], tags: dict[str, str]) -> None:
        self._s3.put_bucket_tagging(name, tags)
        if block := properties.get("PublicAccessBlockConfiguration"):
            self._s3.put_public_access_block(name, {key: str(value).lower() for key, value in block.items()})
        if lifecycle := properties.get("LifecycleConfiguration"):
            rules = [
                {
                    "ID": rule["Id"],
                    "Status": rule["Status"],
                    "Filter": {"Prefix": rule.get("Prefix", "")},
                    "Expiration": {"Days": rule["ExpirationInDays"]},
                }
                for rule in lifecycle["Rules"]
            ]
            self._s3.put_bucket_lifecycle_configuration(name, rules)

    def _fill_in_role(self, name: str, properties: dict[str, Any], tags: dict[str, str]) -> None:
        self._iam.tag_role(name, [{"Key": key, "Value": value} for key, value in tags.items()])
        for arn in properties.get("ManagedPolicyArns", ()):
            self._iam.attach_role_policy(arn, name)
        for policy in properties.get("Policies", ()):
            self._iam.put_role_policy(name, policy["PolicyName"], json.dumps(policy["PolicyDocument"]))

    def _kept(self, stack: Stack) -> Iterator[tuple[str, str]]:
        """What can't be deleted, by its logical id, and why."""
        for logical_id, thing in self._made(stack, "AWS::S3::Bucket"):
            if thing.keys:
                yield logical_id, "The bucket you tried to delete is not empty"
        for logical_id, thing in self._made(stack, "AWS::IAM::Role"):
            template = stack.template_dict["Resources"][logical_id]["Properties"]
            own = set(clean_json(template.get("ManagedPolicyArns", []), stack.resource_map))
            inline = {policy["PolicyName"] for policy in template.get("Policies", ())}
            if thing.policies.keys() - inline or set(thing.managed_policies) - own:
                yield logical_id, "Cannot delete entity, must detach all policies first."
        for logical_id, thing in self._made(stack, "AWS::EC2::SecurityGroup"):
            reservations = thing.ec2_backend.all_reservations(filters={"instance.group-id": [thing.id]})
            if any(each.state != "terminated" for found in reservations for each in found.instances):
                yield logical_id, f"resource {thing.id} has a dependent object"

    def _made(self, stack: Stack, kind: str) -> Iterator[tuple[str, Any]]:
        made = stack.resource_map._parsed_resources  # noqa: SLF001 - moto has no other
        for logical_id, resource in stack.template_dict["Resources"].items():
            if resource["Type"] == kind and made.get(logical_id) is not None:
                yield logical_id, made[logical_id]

    def _undo(self, stack: Stack) -> None:
        for _, role in self._made(stack, "AWS::IAM::Role"):
            role.managed_policies.clear()
            role.policies.clear()
        stack.resource_map.delete()
        # Outputs that nobody asked for yet would make what they refer to anew.
        stack.output_map = OutputMap(stack.resource_map, {**stack.template_dict, "Outputs": {}}, stack.stack_id)

    @property
    def _s3(self) -> S3Backend:
        return s3_backends[self.account_id]["aws"]

    @property
    def _iam(self) -> IAMBackend:
        return iam_backends[self.account_id]["aws"]


class LocalStacksResponse(CloudFormationResponse):
    """One request; moto makes one of these for each and calls the method named after the action."""

    @property
    def _stacks(self) -> LocalStacks:
        backend = self.cloudformation_backend
        assert isinstance(backend, LocalStacks), "the cloud made a backend for the region before"  # noqa: S101
        return backend

    def create_stack(self) -> ActionResult:
        body = self._get_param("TemplateBody") or ""
        named_roles = "AWS::IAM::Role" in body and "RoleName" in body
        if named_roles and "CAPABILITY_NAMED_IAM" not in self._get_param("Capabilities", []):
            raise InsufficientCapabilities("Requires capabilities : [CAPABILITY_NAMED_IAM]")
        answer = super().create_stack()
        name = self._get_param("StackName")
        if self._get_param("OnFailure") == "DELETE":
            self._stacks.delete_failed(name)
        return answer
