"""What the verbs that ask AWS themselves have in common: whose account, which regions, and a yes."""

import argparse
import re
import sys
from dataclasses import dataclass

import boto3.session
from botocore.exceptions import BotoCoreError

from annex_core.account.checks import Place
from annex_core.account.components import REGION
from annex_core.adapters.account import AccountRegion
from annex_core.adapters.account_reaper import AccountReaper
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.settings import credentials_path
from annex_core.adapters.stacks import CloudFormationStacks, stacks
from annex_core.errors import Refused

ACCOUNT = re.compile(r"[0-9]{12}")
_ANY_REGION = "us-east-1"


@dataclass(frozen=True)
class Ground:
    """One region of the account, and what there is to ask it by."""

    place: Place
    account: AccountRegion
    reaper: AccountReaper
    stacks: CloudFormationStacks


def parser(verb: str, description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"condor_annex {verb}", description=description, allow_abbrev=False)
    made.add_argument("-profile", "--profile", metavar="NAME", help="a profile of AWS's own configuration")
    made.add_argument("-endpoint", "--endpoint", metavar="URL", help="where all services answer instead of AWS")
    return made


def add_regions(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "-regions",
        "--regions",
        metavar="REGION",
        nargs="+",
        type=_region,
        help="default: the one of the profile or the environment",
    )


def grounds(wanted: argparse.Namespace) -> list[Ground]:
    """
    The regions asked for, each once, in the account of whoever asks.

    Raises:
        Refused: No region is named anywhere, or there is no such profile.
        NotPermitted, Unavailable: AWS doesn't say whose account it is.
    """
    names: list[str] = wanted.regions or [_default_region(wanted.profile)]
    regions = [aws_region(wanted, name) for name in dict.fromkeys(names)]
    partition, account = who_asks(regions[0])
    places = [Place(partition, account, region.region) for region in regions]
    return [
        Ground(place, AccountRegion(region, place), AccountReaper(region, place), stacks(region))
        for region, place in zip(regions, places, strict=True)
    ]


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the answer is yes, by option or by hand."""
    if yes:
        return True
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def aws_region(wanted: argparse.Namespace, name: str = _ANY_REGION) -> AwsRegion:
    """Signed as -profile says, else by the daemon's own credentials file, else by what boto3 finds."""
    file = None if wanted.profile else credentials_path()
    return AwsRegion(
        name, endpoint=wanted.endpoint, credentials_file=str(file) if file else None, profile=wanted.profile
    )


def who_asks(region: AwsRegion) -> tuple[str, str]:
    """
    Returns:
        Partition and account, such as aws and 123456789012.
    """
    with aws_call("GetCallerIdentity"):
        identity = region.sts().get_caller_identity()
    return identity["Arn"].split(":")[1], identity["Account"]


def _region(text: str) -> str:
    if not REGION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is no region such as us-east-2")
    return text


def _default_region(profile: str | None) -> str:
    try:
        found = boto3.session.Session(profile_name=profile).region_name
    except BotoCoreError as error:
        raise Refused(str(error)) from error
    if not found:
        raise Refused("say which region: -regions us-east-2")
    return found
