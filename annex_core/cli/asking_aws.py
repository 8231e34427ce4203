"""What the verbs that ask AWS themselves have in common: whose account and which regions."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3.session
from botocore.exceptions import BotoCoreError

from annex_core.account.checks import Place
from annex_core.account.components import REGION
from annex_core.adapters.account import AccountRegion
from annex_core.adapters.account_reaper import AccountReaper
from annex_core.adapters.aws_answers import Answered
from annex_core.adapters.aws_credentials import Chain, Held, InstanceRole, SharedFile, Source
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.key_files import read_key_files
from annex_core.adapters.settings import credentials_path
from annex_core.adapters.stacks import CloudFormationStacks, stacks
from annex_core.cli.auditing import auditor
from annex_core.cli.typed import Parser
from annex_core.errors import NotPermitted, Refused
from annex_core.legacy.knobs import Knobs

ACCOUNT = re.compile(r"[0-9]{12}")
_ANY_REGION = "us-east-1"
_CLOUDFORMATION = re.compile(rf"https://cloudformation\.({REGION.pattern})\.amazonaws\.com(\.cn)?/?")
_URL = re.compile(r"https?://[^/\s]+/?")
_FROM_INSTANCE = ["FROM", "INSTANCE"]
_WITH_A_URL = 3


@dataclass(frozen=True)
class Ground:
    """One region of the account, and what there is to ask it by."""

    place: Place
    aws: AwsRegion
    account: AccountRegion
    reaper: AccountReaper
    stacks: CloudFormationStacks


def parser(verb: str, description: str) -> argparse.ArgumentParser:
    made = Parser(verb, description)
    made.add_argument("-profile", "--profile", metavar="NAME", help="a profile of AWS's own configuration")
    made.add_argument(
        "-endpoint", "--endpoint", type=_url, metavar="URL", help="where all services answer instead of AWS"
    )
    made.set_defaults(credentials=[], audit_log=None)
    return made


def add_credentials(made: argparse.ArgumentParser) -> None:
    """As the withdrawn tool took them: FROM INSTANCE, or two key files, and CloudFormation's URL behind either."""
    made.add_argument(
        "credentials",
        nargs="*",
        metavar="CREDENTIALS",
        help="FROM INSTANCE: the role of this instance; or ACCESS-KEY-FILE SECRET-KEY-FILE; [CLOUDFORMATION-URL]."
        " Default: -profile, else the daemon's ANNEXD_CREDENTIALS, else AWS's own chain",
    )


def parsed(
    made: argparse.ArgumentParser, arguments: Sequence[str], knobs: Callable[[], Knobs] = Knobs
) -> argparse.Namespace:
    """
    Ends the process with status 2 where the words make no credentials.

    Args:
        knobs: The withdrawn tool's, for what the command line does not say; default: none is set.

    Raises:
        BadRequest: What a knob says makes no sense.
        Unavailable: Nobody says what the knobs are.
    """
    wanted = made.parse_args(arguments)
    words, url = _words(wanted.credentials)
    if words and wanted.profile:
        made.error("either -profile, or other credentials")
    if len(words) not in (0, 2):
        made.error("credentials are FROM INSTANCE, or two files: one with the access key, one with the secret")
    if url and not url.startswith(("http://", "https://")):
        made.error(f"{url} is no URL of CloudFormation")
    _fill(wanted, knobs)
    return wanted


def _fill(wanted: argparse.Namespace, asked_knobs: Callable[[], Knobs]) -> None:
    named = wanted.regions or _region_of_url(wanted)
    signs = wanted.credentials or wanted.profile
    if named and signs:
        return
    knobs = asked_knobs()
    if not named and (region := knobs.region()):
        wanted.regions = [region]
    # Of several regions none has key files of its own: one account is asked in all of them.
    region = wanted.regions[0] if wanted.regions and len(wanted.regions) == 1 else None
    if not signs and (files := knobs.key_files(region)):
        wanted.credentials = _FROM_INSTANCE if " ".join(_FROM_INSTANCE) in map(str.upper, files) else [*files]


def add_regions(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "-regions",
        "--regions",
        metavar="REGION",
        nargs="+",
        type=_region,
        help="default: the one of the profile or the environment",
    )
    made.add_argument(
        "-aws-region", "--aws-region", dest="regions", metavar="REGION", nargs=1, type=_region, help=argparse.SUPPRESS
    )


def add_audit_log(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "-audit-log", "--audit-log", metavar="FILE", help="append a line for each call that changes something at AWS"
    )


def grounds(wanted: argparse.Namespace) -> list[Ground]:
    """
    The regions asked for, each once, in the account of whoever asks.

    Raises:
        Refused: No region is named anywhere, there is no such profile, or the audit log can't be written.
        NotPermitted, Unavailable: AWS doesn't say whose account it is.
    """
    names: list[str] = wanted.regions or [_region_of_url(wanted) or _default_region(wanted.profile)]
    told = auditor(wanted.audit_log)
    regions = [aws_region(wanted, name, told) for name in dict.fromkeys(names)]
    partition, account = who_asks(regions[0])
    places = [Place(partition, account, region.region) for region in regions]
    return [
        Ground(place, region, AccountRegion(region, place), AccountReaper(region, place), stacks(region))
        for region, place in zip(regions, places, strict=True)
    ]


def aws_region(
    wanted: argparse.Namespace, name: str = _ANY_REGION, told: Callable[[Answered], None] = lambda _: None
) -> AwsRegion:
    """
    Signed as the command line says, else by the daemon's own credentials file, else by what boto3 finds.

    Raises:
        Refused: The key files can't be used.
    """
    source, url = _source(wanted)
    endpoint = wanted.endpoint or (None if url and _CLOUDFORMATION.fullmatch(url) else url)
    return AwsRegion(name, endpoint=endpoint, credentials=source, told=told)


def _source(wanted: argparse.Namespace) -> tuple[Source, str | None]:
    """Who signs, and the URL behind it."""
    words, url = _words(wanted.credentials)
    if not words:
        file = None if wanted.profile else credentials_path()
        return (SharedFile(str(file)) if file else Chain(wanted.profile)), None
    if words == _FROM_INSTANCE:
        return InstanceRole(), url
    keys = read_key_files(*map(Path, words))
    return Held(lambda: keys), url


def _words(credentials: list[str]) -> tuple[list[str], str | None]:
    """
    Returns:
        Nothing, FROM and INSTANCE, or two files; and CloudFormation's URL.
    """
    words = [*credentials]
    url = words.pop() if len(words) == _WITH_A_URL else None
    return (_FROM_INSTANCE if [word.upper() for word in words] == _FROM_INSTANCE else words), url


def who_asks(region: AwsRegion) -> tuple[str, str]:
    """
    Returns:
        Partition and account, such as aws and 123456789012.
    """
    try:
        with aws_call("GetCallerIdentity"):
            identity = region.sts().get_caller_identity()
    except NotPermitted as error:
        raise NotPermitted(
            f"{error}; it signs by -profile NAME, else by ANNEXD_CREDENTIALS, else by what AWS's own tools would find"
        ) from error
    return identity["Arn"].split(":")[1], identity["Account"]


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is no URL such as http://127.0.0.1:4566")
    return text


def _region(text: str) -> str:
    if not REGION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is no region such as us-east-2")
    return text


def _region_of_url(wanted: argparse.Namespace) -> str | None:
    named = [found[1] for word in wanted.credentials if (found := _CLOUDFORMATION.fullmatch(word))]
    return named[-1] if named else None


def _default_region(profile: str | None) -> str:
    try:
        found = boto3.session.Session(profile_name=profile).region_name
    except BotoCoreError as error:
        raise Refused(str(error)) from error
    if not found:
        raise Refused("say which region: -regions us-east-2")
    return found
