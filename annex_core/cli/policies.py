"""condor_annex policies: IAM policies with no more rights than our calls need."""

import json
import re
import sys
from collections.abc import Sequence

from annex_core.account.policies import BY_PROJECT, POLICIES, policy
from annex_core.adapters.settings import pool_name
from annex_core.cli.asking_aws import ACCOUNT, aws_region, parser, who_asks
from annex_core.errors import AnnexError

_PLAIN = re.compile(r"[\w.:@+=, -]+")
"""In IAM, ${...} is a variable."""
_PROJECT = re.compile(r"[\w.:/=+@ -]{1,128}", re.ASCII)
"""As annex_project may be."""


def run(arguments: Sequence[str]) -> int:
    """Prints the policy that is named, as IAM takes it; without a name, all of them by their names."""
    options = parser("policies", "Print IAM policies: no more rights than our calls need.")
    options.add_argument("name", nargs="?", choices=POLICIES, help="this one alone, as IAM takes it")
    options.add_argument("-account", "--account", metavar="ID", help="twelve digits; default: asks AWS who you are")
    options.add_argument("-partition", "--partition", choices=("aws", "aws-cn", "aws-us-gov"), default="aws")
    options.add_argument("-pool", "--pool", metavar="NAME", help="the tag htcondor:Pool; default: ANNEX_POOL")
    options.add_argument(
        "-project",
        "--project",
        metavar="NAME",
        help="for this project's annexes alone; of daily and both no-admin ones",
    )
    wanted = options.parse_args(arguments)
    pool = wanted.pool or pool_name()
    if not _PLAIN.fullmatch(pool):
        options.error("say whose annexes: -pool NAME, as ANNEX_POOL is or the access point is called")
    if wanted.project is not None:
        if wanted.name not in BY_PROJECT:
            options.error(f"-project narrows {', '.join(sorted(BY_PROJECT))}; name one of them")
        if not _PROJECT.fullmatch(wanted.project):
            options.error(f"-project {wanted.project}: 1 to 128 letters, digits, spaces and _.:/=+@-")
    if wanted.account and not ACCOUNT.fullmatch(wanted.account):
        options.error(f"-account {wanted.account}: an account is twelve digits")
    try:
        partition, account = (wanted.partition, wanted.account) if wanted.account else who_asks(aws_region(wanted))
    except AnnexError as error:
        print(f"condor_annex policies: {error}; or say -account ID", file=sys.stderr)
        return 1
    names = [wanted.name] if wanted.name else POLICIES
    documents = {
        name: policy(name, partition=partition, account=account, pool=pool, project=wanted.project) for name in names
    }
    print(json.dumps(documents[wanted.name] if wanted.name else documents, indent=2))
    return 0
