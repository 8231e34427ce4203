"""condor_annex check-setup: is what annexes need in the account what it has to be?"""

import sys
from collections.abc import Iterator, Sequence

from annex_core.account import checks, reaper_checks
from annex_core.account.checks import Finding
from annex_core.account.components import COMPONENTS
from annex_core.cli.asking_aws import Ground, add_regions, grounds, parser
from annex_core.errors import AnnexError


def run(arguments: Sequence[str]) -> int:
    """One finding a line, and below each bad one what to run; 1 when there is one."""
    options = parser("check-setup", "Look at what annexes need in an AWS account, and change nothing.")
    add_regions(options)
    wanted = options.parse_args(arguments)
    good = True
    try:
        found = grounds(wanted)
        print(f"Account {found[0].place.account}")
        for finding in checks.check_service_roles(found[0].account.service_roles()):
            show(finding)
            good &= finding.good
        for ground in found:
            print(ground.place.region)
            for finding in look(ground):
                show(finding)
                good &= finding.good
    except AnnexError as error:
        print(f"condor_annex check-setup: {error}", file=sys.stderr)
        return 1
    return 0 if good else 1


def look(ground: Ground) -> Iterator[Finding]:
    place, account = ground.place, ground.account
    for component in COMPONENTS:
        yield checks.check_stack(component, ground.stacks.find(component.stack), place)
    yield from checks.check_bucket(account.bucket(), place)
    yield from checks.check_role(account.role(), place)
    yield from checks.check_groups(account.groups(), place)
    yield from reaper_checks.check_reaper(ground.reaper.function(), place)


def show(finding: Finding) -> None:
    print(f"  {'good' if finding.good else 'BAD '} {finding.subject}: {finding.says}")
    if finding.cure:
        print(f"       run: {finding.cure}")
