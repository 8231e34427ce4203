"""What an account needs before it can have annexes; each region has its own, so that each stands by itself."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from annex_core.model.tags import PREFIX

COMPONENT = PREFIX + "Component"
"""The tag on every stack and on what is in it; its value is the component's name."""

DIGEST = PREFIX + "Template"
"""The tag that says which template a stack was made from; with another digest there is always something to update."""

STACKS = "condor-annex-"
"""What the stacks' names begin with."""

REAPER_FUNCTION = STACKS + "reaper"
"""The name of the function, and of its rule."""

FLEET_POLICY = "service-role/AmazonEC2SpotFleetTaggingRole"
"""AWS's own policy for the role that Spot Fleet launches with."""

SERVICE_ROLES: Mapping[str, str] = {
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
}
"""AWS's own roles, one of each in an account, by the service that takes them. Others may use them: they stay."""

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+")


@dataclass(frozen=True)
class Component:
    name: str
    """As its tag says, and its template's file."""
    macro: str
    """The template's one output, and the route's macro that takes it; of two with the same one it takes both."""
    keeping: str
    """What it costs to keep."""

    @property
    def stack(self) -> str:
        return STACKS + self.name

    def template(self) -> str:
        return (files("annex_core.account") / "templates" / f"{self.name}.yaml").read_text()

    def digest(self) -> str:
        return hashlib.sha256(self.template().encode()).hexdigest()[:16]


BUCKET = Component("bucket", "AnnexBucket", "keeping it is free, but for S3's price of some KB an annex")
FLEET_ROLE = Component("fleet-role", "AnnexFleetRole", "keeping it is free")
SECURITY_GROUP = Component("security-group", "AnnexSecurityGroups", "keeping it is free")
REAPER = Component("reaper", "AnnexReaper", "keeping it is free: it runs for less than Lambda gives every account")


INSTANCE_ROLE = Component("instance-role", "AnnexInstanceProfile", "keeping it is free")
"""For instances whose image has HTCondor's own boot service; others need none."""
SSH_KEY = Component("ssh-key", "AnnexKeyName", "keeping it is free")
SSH_PORT = Component("ssh-port", "AnnexSecurityGroups", "keeping it is free")

COMPONENTS = (BUCKET, FLEET_ROLE, INSTANCE_ROLE, REAPER, SECURITY_GROUP)
"""In the order of being made."""

WHEN_ASKED_FOR = (SSH_KEY, SSH_PORT)
"""And kept from then on."""

ALL_COMPONENTS = (*COMPONENTS, *WHEN_ASKED_FOR)


def bucket_name(account: str, region: str) -> str:
    return f"condor-annex-{account}-{region}"


_BUCKET = re.compile(r"condor-annex-(\d{12})-[a-z0-9-]+")


def bucket_owner(bucket: str) -> str | None:
    """The account whose bucket it is by its name, as set-up gives them; None of another's name: it may be any's."""
    found = _BUCKET.fullmatch(bucket)
    return found[1] if found else None


_ROLE = re.compile(rf"{STACKS}(?:fleet|instance|reaper)-({REGION.pattern})")


def role_region(role: str) -> str | None:
    """The region that a role of ours is for, by its name; None of another's."""
    found = _ROLE.fullmatch(role)
    return found[1] if found else None


def fleet_role_name(region: str) -> str:
    return f"condor-annex-fleet-{region}"


def instance_role_name(region: str) -> str:
    """Its instance profile has the same."""
    return f"condor-annex-instance-{region}"


def reaper_role_name(region: str) -> str:
    return f"condor-annex-reaper-{region}"
