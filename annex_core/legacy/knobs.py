"""The withdrawn tool's knobs, as far as somebody set them: what they were for, and what they do now."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from annex_core.errors import BadRequest
from annex_core.legacy.asked import region_of

KNOBS: Mapping[str, str] = {
    "ANNEX_DEFAULT_AWS_REGION": "-aws-region, where that is not given.",
    "ANNEX_DEFAULT_LEASE_DURATION": "-duration, in seconds; 3000 where it is not set.",
    "ANNEX_DEFAULT_UNCLAIMED_TIMEOUT": "-idle, in seconds; 900 where it is not set.",
    "ANNEX_DEFAULT_ODI_KEY_NAME": "-aws-on-demand-key-name, with -count.",
    "ANNEX_DEFAULT_ODI_INSTANCE_TYPE": "-aws-on-demand-instance-type, with -count.",
    "ANNEX_DEFAULT_ODI_IMAGE_ID": "-aws-on-demand-ami-id, with -count.",
    "ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS": "-aws-on-demand-security-group-ids, with -count.",
    "ANNEX_DEFAULT_ODI_INSTANCE_PROFILE_ARN": "-aws-on-demand-instance-profile-arn, with -count.",
    "ANNEX_DEFAULT_SFR_CONFIG_FILE": "-aws-spot-fleet-config-file, with -slots.",
    "ANNEX_DEFAULT_SPOT_FLEET_CONFIG_FILE": "The same, under the name that it had before 8.7.",
    "ANNEX_DEFAULT_EC2_URL": "-aws-ec2-url, where ANNEX_DEFAULT_AWS_REGION is not set either.",
    "ANNEX_DEFAULT_ACCESS_KEY_FILE": "Read by -setup and -check-setup, and where a route goes by its users' own keys.",
    "ANNEX_DEFAULT_SECRET_KEY_FILE": "Read by -setup and -check-setup, and where a route goes by its users' own keys.",
    "ANNEX_DEFAULT_CWE_URL": "Nothing: the service is no longer called.",
    "ANNEX_DEFAULT_LAMBDA_URL": "Nothing: the service is no longer called.",
    "ANNEX_DEFAULT_S3_URL": "Nothing: the route's AnnexEndpoint says where S3 is.",
    "ANNEX_DEFAULT_CF_URL": "Nothing: -endpoint of the verb setup says where CloudFormation is.",
    "ANNEX_DEFAULT_S3_BUCKET": "Nothing: the route's AnnexBucket says it.",
    "ANNEX_DEFAULT_CONNECTIVITY_FUNCTION_ARN": "Nothing: condor_annex check-connectivity asks the reaper's function.",
    "ANNEX_DEFAULT_ODI_LEASE_FUNCTION_ARN": "Nothing: the account's one reaper ends every lease.",
    "ANNEX_DEFAULT_SFR_LEASE_FUNCTION_ARN": "Nothing: the account's one reaper ends every lease.",
}
"""Each knob, and what it does now. What HTCondor has compiled in counts as not set: it would overrule every route."""

LEASE_S = 3000
IDLE_S = 900
"""What the tool took where neither option nor knob said."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_./]")


@dataclass(frozen=True)
class Knob:
    name: str
    """As it was found, prefix included."""
    value: str
    place: str
    """FILE:LINE, as far as it is known."""

    def __str__(self) -> str:
        return f"{self.name} ({self.place})" if self.place else self.name


@dataclass(frozen=True)
class Knobs:
    """
    Args:
        by_name: What is set, by lower-case name with its prefix.
    """

    by_name: Mapping[str, Knob] = field(default_factory=dict)

    def get(self, name: str, region: str | None) -> Knob | None:
        """
        The knob as it holds in a region: us_east_1.NAME goes before NAME.

        HTCondor's names hold no dash, so that a region's are written with underscores, as the tool's own set-up did.
        """
        prefixes = [f"annex.{prefix(region)}.", f"{prefix(region)}."] if region else []
        for before in (*prefixes, "annex.", ""):
            found = self.by_name.get(f"{before}{name}".lower())
            if found and found.value:
                return found
        return None

    def region(self) -> str | None:
        """
        The one that they name, or whose endpoint of AWS's own they do.

        Raises:
            BadRequest: The endpoint is another's.
        """
        if named := self.get("ANNEX_DEFAULT_AWS_REGION", None):
            return named.value
        url = self.get("ANNEX_DEFAULT_EC2_URL", None)
        return region_of(url, url.value) if url else None

    def key_files(self, region: str | None) -> tuple[str, str] | None:
        """The access key's and the secret key's, if they name both; FROM INSTANCE stands for an instance's role."""
        access, secret = (self.get(f"ANNEX_DEFAULT_{which}_KEY_FILE", region) for which in ("ACCESS", "SECRET"))
        return (access.value, secret.value) if access and secret else None

    def seconds(self, name: str, region: str | None, default: int) -> int:
        found = self.get(name, region)
        if found is None:
            return default
        if not re.fullmatch(r"[1-9]\d{0,8}", found.value):
            raise BadRequest(f"{found} = {found.value}: it takes whole seconds above 0")
        return int(found.value)


def prefix(region: str) -> str:
    return _UNSAFE.sub("_", region)
