"""condor_annex setup: make in the account what annexes need, and say what of it goes into a route."""

import sys
from collections.abc import Mapping, Sequence

from annex_core.account.checks import Place
from annex_core.account.code import reaper_key
from annex_core.account.components import COMPONENTS, REAPER, SECURITY_GROUP, SERVICE_ROLES, Component
from annex_core.account.stacks import Stack, Step, build, next_step
from annex_core.adapters.account import AccountRegion
from annex_core.cli import check_setup
from annex_core.cli.asking_aws import Ground, add_regions, agreed, grounds, parser
from annex_core.cli.progress import Line, pausing
from annex_core.errors import AnnexError, Refused


def run(arguments: Sequence[str]) -> int:
    """1 when a component could not be made, or is not what it has to be."""
    options = parser("setup", "Make what annexes need in an AWS account. Again, it changes nothing.")
    add_regions(options)
    options.add_argument("-vpc", "--vpc", metavar="ID", help="of the security group; default: the default VPC")
    options.add_argument("-dry-run", "--dry-run", action="store_true", help="say what would be done")
    options.add_argument("-yes", "--yes", action="store_true", help="don't ask")
    wanted = options.parse_args(arguments)
    if wanted.vpc and len(wanted.regions or ()) > 1:
        options.error("-vpc: a VPC is in one region; set up one after another")
    try:
        found = grounds(wanted)
        if wanted.dry_run:
            _say_what_would_be(found, wanted.vpc)
            return 0
        if not agreed(_question(found), yes=wanted.yes):
            return 1
        print(f"Account {found[0].place.account}")
        good = _service_roles(found[0].account)
        for ground in found:
            good &= _set_up(ground, wanted.vpc)
    except AnnexError as error:
        print(f"condor_annex setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncondor_annex setup: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0 if good else 1


def _question(found: Sequence[Ground]) -> str:
    names = ", ".join(component.name for component in COMPONENTS)
    regions = ", ".join(ground.place.region for ground in found)
    return f"Make {names} in account {found[0].place.account}, {regions}?"


def _say_what_would_be(found: Sequence[Ground], vpc: str | None) -> None:
    print(f"Account {found[0].place.account}")
    for role in _missing_roles(found[0].account).values():
        print(f"  {role} would be made")
    for ground in found:
        print(ground.place.region)
        for component in COMPONENTS:
            stack = ground.stacks.find(component.stack)
            parameters = _parameters(component, stack, ground.account, vpc)
            print(f"  {component.name} {next_step(stack, component, parameters).value}; {component.keeping}")


def _missing_roles(account: AccountRegion) -> Mapping[str, str]:
    """AWS's own, one of each in an account, by their services."""
    there = account.service_roles()
    return {service: role for service, role in SERVICE_ROLES.items() if service not in there}


def _service_roles(account: AccountRegion) -> bool:
    good = True
    for service, role in _missing_roles(account).items():
        with Line(role) as line:
            account.create_service_role(service)
            line.says = "made; AWS's own, free, and other Spot users share it"
        good &= not line.failed
    return good


def _set_up(ground: Ground, vpc: str | None) -> bool:
    """What fails is said, and the rest is made all the same."""
    values: dict[str, str] = {}
    print(ground.place.region)
    for component in COMPONENTS:
        with Line(component.name) as line:
            stack = ground.stacks.find(component.stack)
            parameters = _parameters(component, stack, ground.account, vpc)
            if component is REAPER and next_step(stack, component, parameters) is not Step.LEAVE:
                ground.reaper.put_code()
            built = build(ground.stacks, component, parameters, pause=pausing(line.tick))
            values[component.macro] = built.value
            line.says = f"{built.how}; {component.keeping}"
    if len(values) < len(COMPONENTS):
        return False
    bad = [finding for finding in check_setup.look(ground) if not finding.good]
    for finding in bad:
        check_setup.show(finding)
    _show_route(ground.place, values)
    return not bad


def _parameters(
    component: Component, stack: Stack | None, account: AccountRegion, vpc: str | None
) -> Mapping[str, str]:
    """A group that is there keeps its VPC: another would be another group, under running instances."""
    if component is REAPER:
        return {"Code": reaper_key()}
    if component is not SECURITY_GROUP:
        return {}
    there = stack.parameters.get("Vpc") if stack else None
    if vpc and there and vpc != there:
        raise Refused(f"the security group is in {there}; for one in {vpc}, run condor_annex teardown first")
    return {"Vpc": vpc or there or account.default_vpc()}


def _show_route(place: Place, values: Mapping[str, str]) -> None:
    print(f"\nFor a route in {place.region}:\n\n  AnnexRegion = {place.region}")
    for macro, value in values.items():
        print(f"  {macro} = {value}")
    print()
