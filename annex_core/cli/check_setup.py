"""condor_annex check-setup: is what annexes need in the account what it has to be?"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from annex_core.account import checks, reaper_checks
from annex_core.account.checks import Finding
from annex_core.account.components import COMPONENTS, SECURITY_GROUP, SSH_KEY, SSH_PORT
from annex_core.account.roles import check_profile, check_role, fleet_role, instance_role, reaper_role
from annex_core.cli.asking_aws import Ground, add_credentials, add_regions, grounds, parsed, parser
from annex_core.cli.check_routes import look_at, needs_no_setup, routes_here
from annex_core.errors import AnnexError
from annex_core.legacy.knobs import Knobs


def run(arguments: Sequence[str], knobs: Callable[[], Knobs] = Knobs) -> int:
    """
    One finding a line, and below each bad one what to run; 1 when there is one.

    Args:
        knobs: The withdrawn tool's, for what the command line does not say; default: none is set.
    """
    options = parser("check-setup", "Look at what annexes need in an AWS account, and change nothing.")
    add_credentials(options)
    add_regions(options)
    wanted = parsed(options, arguments, knobs)
    good = True
    try:
        found = grounds(wanted)
        here = routes_here()
        routes = {
            ground.place.region: [route for route in here if route.region == ground.place.region] for ground in found
        }
        bare = {ground.place.region for ground in found if needs_no_setup(ground, routes[ground.place.region])}
        print(f"Account {found[0].place.account}")
        if bare != routes.keys():
            good &= _show_all(checks.check_service_roles(found[0].account.service_roles()))
        for ground in found:
            region = ground.place.region
            print(region)
            if region not in bare:
                good &= _show_all(look(ground))
            for route in routes[region]:
                good &= _show_all(look_at(route, ground, by_its_own=not (wanted.profile or wanted.credentials)))
    except AnnexError as error:
        print(f"condor_annex check-setup: {error}", file=sys.stderr)
        return 1
    return 0 if good else 1


def look(ground: Ground) -> Iterator[Finding]:
    place, account = ground.place, ground.account
    for component in COMPONENTS:
        yield checks.check_stack(component, ground.stacks.find(component.stack), place)
    yield from checks.check_bucket(account.bucket(), place)
    for lent in (fleet_role(place), instance_role(place), reaper_role(place)):
        yield from check_role(lent, account.role(lent.name), place)
    yield check_profile(account.profile_roles(), place)
    yield from checks.check_groups(account.groups(SECURITY_GROUP), place)
    yield from reaper_checks.check_reaper(ground.reaper.function(), place)
    yield from _look_at_ssh(ground)


def _look_at_ssh(ground: Ground) -> Iterator[Finding]:
    """Only where it was asked for."""
    place, account = ground.place, ground.account
    if stack := ground.stacks.find(SSH_KEY.stack):
        yield checks.check_stack(SSH_KEY, stack, place)
        yield checks.check_ssh_key(account.key_pairs(), stack.parameters.get("Name", ""), place)
    if stack := ground.stacks.find(SSH_PORT.stack):
        yield checks.check_stack(SSH_PORT, stack, place)
        yield from checks.check_ssh_port(account.groups(SSH_PORT), stack.parameters.get("From", ""), place)


def _show_all(findings: Iterable[Finding]) -> bool:
    """Whether all are good."""
    good = True
    for finding in findings:
        show(finding)
        good &= finding.good
    return good


def show(finding: Finding) -> None:
    print(f"  {'good' if finding.good else 'BAD '} {finding.subject}: {finding.says}")
    if finding.cure:
        print(f"       run: {finding.cure}")
