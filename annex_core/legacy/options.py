"""
Every option of the three tools that came before, and what becomes of it: the one table of parser and documentation.

condor_annex of HTCondor 8.7 to 24 is `annex`, the client of the experimental annex daemon is `daemon`, and the script
that went by project ids is `perl`. docs/old-options.md shows the table; a test compares the two.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial


class Tool(StrEnum):
    ANNEX = "annex"
    DAEMON = "daemon"
    PERL = "perl"


@dataclass(frozen=True)
class Option:
    tool: Tool
    name: str
    shortest: int
    """Characters of the shortest abbreviation that the tool took, with one dash; with two, it took none."""
    takes: tuple[str, ...]
    """What its values are called; () for one that is there or not."""
    now: str
    """What it does now; what is refused begins with "Refused", and goes on with what to do instead."""
    many: bool = False
    """It may be given more than once."""

    @property
    def refused(self) -> bool:
        return self.now.startswith("Refused")

    def __str__(self) -> str:
        return f"{'--' if self.tool is Tool.PERL else '-'}{self.name}"


_KEYS = (
    "For a route with AnnexCredentials = owner: the key file that condor_annexd gets the user's own keys from, instead"
    " of the one in ~/.condor; no other route takes it. For -setup and -check-setup: the key file they sign with."
)
_REAPER = "Refused: the account's one reaper ends every lease; leave it out."
_URL = (
    "AWS's own endpoint names the region, and so does this; another one is the route's AnnexEndpoint, and refused here."
)
_NO_URL = "As -aws-ec2-url; the service itself is no longer called."
_BUCKET = "Refused: the route's AnnexBucket says where bundles go; leave it out."

_annex = partial(Option, Tool.ANNEX)
ANNEX = (
    _annex("aws-region", 10, ("REGION",), "The region: the route's, unless an administrator asks for another."),
    _annex("aws-ec2-url", 11, ("URL",), _URL),
    _annex("aws-events-url", 14, ("URL",), _NO_URL),
    _annex("aws-lambda-url", 14, ("URL",), _NO_URL),
    _annex("aws-s3-url", 10, ("URL",), "As -aws-ec2-url."),
    _annex("aws-user-data-file", 14, ("FILE",), "As -aws-user-data, from a file that the user who asks can read."),
    _annex("aws-user-data", 13, ("DATA",), "User data in place of the boot script's and of the fleet configuration's."),
    _annex("aws-default-user-data-file", 22, ("FILE",), "As -aws-default-user-data, from a file."),
    _annex(
        "aws-default-user-data",
        21,
        ("DATA",),
        "User data of the launch specifications in a fleet configuration that bring none; refused without one.",
    ),
    _annex("annex-name", 5, ("NAME",), "The annex: 1 to 37 letters, digits and dashes, each of which boots."),
    _annex(
        "config-dir",
        10,
        ("DIRECTORY",),
        "Its files, read by the user who asks, go into the configuration of every machine.",
    ),
    _annex("owner", 5, ("USER",), "Whose jobs it runs. A list is refused: make an annex for each."),
    _annex("no-owner", 7, (), "Anybody's jobs run there that name it; for administrators."),
    _annex(
        "aws-spot-fleet-config-file",
        22,
        ("FILE",),
        "The fleet's configuration as AWS's console exports it; - is the standard input.",
    ),
    _annex("aws-public-key-file", 19, ("FILE",), _KEYS),
    _annex("aws-access-key-file", 19, ("FILE",), _KEYS),
    _annex("aws-secret-key-file", 19, ("FILE",), _KEYS),
    _annex("aws-private-key-file", 20, ("FILE",), _KEYS),
    _annex("aws-spot-fleet-lease-function-arn", 22, ("ARN",), _REAPER),
    _annex("aws-on-demand-lease-function-arn", 21, ("ARN",), _REAPER),
    _annex("aws-on-demand-instance-type", 24, ("TYPE",), "The instance type."),
    _annex("aws-on-demand-key-name", 17, ("NAME",), "The key pair."),
    _annex("aws-on-demand-security-group-ids", 31, ("GROUPS",), "The security groups, separated by commas."),
    _annex("aws-on-demand-ami-id", 20, ("AMI",), "The image."),
    _annex("aws-on-demand-instance-profile-arn", 22, ("ARN",), "The instance profile."),
    _annex("aws-s3-config-path", 18, ("PATH",), _BUCKET),
    _annex(
        "tag",
        3,
        ("KEY", "VALUE"),
        "A tag for all that is launched; any value, and keys that instances can read.",
        True,
    ),
    _annex(
        "duration",
        8,
        ("HOURS",),
        "The lease, in decimal hours; alone with -annex-name, a new one for a living annex.",
    ),
    _annex("idle", 4, ("HOURS",), "Decimal hours without a job after which a machine leaves."),
    _annex("slots", 5, ("NUMBER",), "Spot machines: as many vCPUs or, with a fleet configuration, as much capacity."),
    _annex("count", 5, ("NUMBER",), "On-demand machines."),
    _annex("aws-spot-fleet", 14, (), "Spot machines, which is what -slots means by itself."),
    _annex("aws-on-demand", 13, (), "On-demand machines, which is what -count means by itself."),
    _annex("help", 1, (), "The verbs, and where this table is."),
    _annex("check-setup", 11, (), "The verb check-setup."),
    _annex("request-id", 7, ("ID",), "Refused: it belongs to HTCondor's HPC annexes; leave it out."),
    _annex(
        "setup",
        5,
        (),
        "The verb setup. Behind it FROM INSTANCE, or the two key files; and AWS's own CloudFormation URL at most.",
    ),
    _annex("status", 6, (), "The verb status."),
    _annex("classads", 7, (), "With -status: an ad for each annex, as condor_status -long prints one."),
    _annex("yes", 3, (), "Ask nothing."),
)

_daemon = partial(Option, Tool.DAEMON)
DAEMON = (
    _daemon("pool", 1, ("POOL",), "Refused: log in to the access point whose condor_annexd is meant."),
    _daemon("name", 1, ("NAME",), "Refused: log in to the access point whose condor_annexd is meant."),
    _daemon("service-url", 7, ("URL",), "As -aws-ec2-url."),
    _daemon("events-url", 6, ("URL",), _NO_URL),
    _daemon("lambda-url", 6, ("URL",), _NO_URL),
    _daemon("s3-url", 2, ("URL",), "As -aws-ec2-url."),
    _daemon("user-data-file", 10, ("FILE",), "As -aws-user-data-file."),
    _daemon("user-data", 9, ("DATA",), "As -aws-user-data."),
    _daemon("default-user-data-file", 18, ("FILE",), "As -aws-default-user-data-file."),
    _daemon("default-user-data", 17, ("DATA",), "As -aws-default-user-data."),
    _daemon("sfr-config-file", 12, ("FILE",), "As -aws-spot-fleet-config-file."),
    _daemon("public-key-file", 6, ("FILE",), "As -aws-access-key-file."),
    _daemon("access-key-file", 6, ("FILE",), "As -aws-access-key-file."),
    _daemon("secret-key-file", 6, ("FILE",), "As -aws-secret-key-file."),
    _daemon("private-key-file", 7, ("FILE",), "As -aws-secret-key-file."),
    _daemon("lease-function-arn", 7, ("ARN",), _REAPER),
    _daemon("lease-duration", 7, ("SECONDS",), "The lease, in seconds."),
    _daemon("sfr-lease-function-arn", 11, ("ARN",), _REAPER),
    _daemon("odi-lease-function-arn", 11, ("ARN",), _REAPER),
    _daemon("odi-instance-type", 14, ("TYPE",), "As -aws-on-demand-instance-type."),
    _daemon("odi-key-name", 7, ("NAME",), "As -aws-on-demand-key-name."),
    _daemon("odi-security-group-ids", 21, ("GROUPS",), "As -aws-on-demand-security-group-ids."),
    _daemon("odi-image-id", 11, ("AMI",), "As -aws-on-demand-ami-id."),
    _daemon("odi-instance-profile-arn", 22, ("ARN",), "As -aws-on-demand-instance-profile-arn."),
    _daemon("odi-s3-config-path", 18, ("PATH",), _BUCKET),
    _daemon("sfr", 3, (), "As -aws-spot-fleet."),
    _daemon("odi", 3, (), "As -aws-on-demand."),
    _daemon("debug", 1, (), "Print the request to the standard error, too."),
)
"""What `annex` has under the same name is not listed again. The file of the fleet's configuration stands bare."""

_perl = partial(Option, Tool.PERL)
PERL = (
    _perl(
        "project-id",
        4,
        ("ID",),
        "The project, and the annex's name; in the name an underscore becomes a dash, and that is said.",
    ),
    _perl(
        "instances",
        3,
        ("NUMBER",),
        "So many machines, or so many more for an annex that lives, where the script set the size of the whole.",
    ),
    _perl(
        "expiry",
        1,
        ("MOMENT",),
        "The lease's end, 2016-04-06 17:00, in local time or with a zone; alone, a new end for a living annex.",
    ),
    _perl("region", 1, ("REGION",), "As -aws-region."),
    _perl("vpc", 3, ("VPC",), "Its subnets say it: refused without --subnet."),
    _perl("subnet", 2, ("SUBNETS",), "The subnets, separated by commas."),
    _perl("keypair", 1, ("NAME",), "The key pair."),
    _perl(
        "image-ids",
        2,
        ("IMAGES",),
        "The first image goes with the first type, and so on; one is for all. Different ones make a fleet"
        " configuration.",
    ),
    _perl("instance-types", 10, ("TYPES",), "Separated by commas; only with --spot-prices."),
    _perl("spot-prices", 2, ("USD",), "The most that an hour of each type may cost; one is for all."),
    _perl("launch-configurations", 1, ("NAMES",), "Refused: copy them into a Spot Fleet configuration file."),
    _perl(
        "central-manager",
        2,
        ("HOST",),
        "Machines report to this access point's own annex pool. Refused, unless it is this pool's central manager.",
    ),
    _perl("password-file", 10, ("FILE",), "Not read, and that is said: machines carry a token of their own."),
    _perl("password-location", 10, ("URL",), "Refused: there is no password to fetch; leave it out."),
    _perl("config-file", 8, ("FILE",), "A file for the configuration of every machine."),
    _perl("config-location", 8, ("URL",), "Refused: give the file itself with --config-file."),
    _perl("stack-name", 2, ("NAME",), "Refused: an annex is no stack any more; --project-id names it."),
    _perl("delete", 1, (), "End the annex now."),
    _perl("verbose", 2, (), "As -debug."),
    _perl("help", 1, (), "As -help."),
)

OPTIONS = (*ANNEX, *DAEMON, *PERL)
