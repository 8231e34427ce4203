"""condor_annex setup: make in the account what annexes need, and say what of it goes into a route."""

import argparse
import ipaddress
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from annex_core.account.checks import Finding, Place
from annex_core.account.code import reaper_key
from annex_core.account.components import (
    BUCKET,
    COMPONENTS,
    INSTANCE_ROLE,
    REAPER,
    SECURITY_GROUP,
    SERVICE_ROLES,
    SSH_KEY,
    SSH_PORT,
    WHEN_ASKED_FOR,
    Component,
)
from annex_core.account.stacks import Stack, Step, build, next_step
from annex_core.adapters.account import AccountRegion
from annex_core.cli import check_setup
from annex_core.cli.asking_aws import Ground, add_audit_log, add_credentials, add_regions, grounds, parsed, parser
from annex_core.cli.consent import agreed
from annex_core.cli.progress import Line, pausing
from annex_core.cli.ssh_key import key_file, public_key
from annex_core.errors import AnnexError, Refused, Unavailable
from annex_core.legacy.knobs import Knobs

_SEEN_WITHIN_S = 60.0
"""What was just made is seen by all of AWS after some seconds; by then, all that is bad is."""


@dataclass(frozen=True)
class Wishes:
    vpc: str | None
    key: str | None
    """The name of a key pair."""
    ssh_from: str | None

    def asks_for(self, component: Component) -> bool:
        return {SSH_KEY: self.key, SSH_PORT: self.ssh_from}.get(component) is not None


def run(arguments: Sequence[str], knobs: Callable[[], Knobs] = Knobs) -> int:
    """
    1 when a component could not be made, or is not what it has to be.

    Args:
        knobs: The withdrawn tool's, for what the command line does not say; default: none is set.
    """
    options = parser("setup", "Make what annexes need in an AWS account. Again, it changes nothing.")
    add_credentials(options)
    add_regions(options)
    options.add_argument("-vpc", "--vpc", metavar="ID", help="of the security groups; default: the default VPC")
    options.add_argument(
        "-ssh-key", "--ssh-key", metavar="NAME", type=_key_name, help="a key pair; its private key: ~/.ssh/NAME.pem"
    )
    options.add_argument(
        "-ssh-from", "--ssh-from", metavar="ADDRESSES", type=_addresses, help="open port 22 to 192.0.2.0/24"
    )
    add_audit_log(options)
    options.add_argument("-dry-run", "--dry-run", action="store_true", help="say what would be done")
    options.add_argument("-yes", "--yes", action="store_true", help="don't ask")
    wanted = parsed(options, arguments, knobs)
    if wanted.vpc and len(wanted.regions or ()) > 1:
        options.error("-vpc: a VPC is in one region; set up one after another")
    wishes = Wishes(wanted.vpc, wanted.ssh_key, wanted.ssh_from)
    try:
        found = grounds(wanted)
        if wanted.dry_run:
            _say_what_would_be(found, wishes)
            return 0
        if not agreed(_question(found, wishes), yes=wanted.yes):
            return 1
        print(f"Account {found[0].place.account}")
        good = _service_roles(found[0].account)
        for ground in found:
            good &= _set_up(ground, wishes)
    except AnnexError as error:
        print(f"condor_annex setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncondor_annex setup: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0 if good else 1


def _key_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text}: a key's name has up to 64 letters, digits, dots and dashes")
    return text


def _addresses(text: str) -> str:
    try:
        found = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; it takes IPv4 addresses such as 192.0.2.0/24") from error
    if not found.prefixlen:
        raise argparse.ArgumentTypeError(f"{text} is the whole world; name the addresses that you log in from")
    return str(found)


def _question(found: Sequence[Ground], wishes: Wishes) -> str:
    names = ", ".join(each.name for each in (*COMPONENTS, *filter(wishes.asks_for, WHEN_ASKED_FOR)))
    regions = ", ".join(ground.place.region for ground in found)
    return f"Make {names} in account {found[0].place.account}, {regions}?"


def _say_what_would_be(found: Sequence[Ground], wishes: Wishes) -> None:
    print(f"Account {found[0].place.account}")
    for role in _missing_roles(found[0].account).values():
        print(f"  {role} would be made")
    if wishes.key and not key_file(wishes.key).exists():
        print(f"  {key_file(wishes.key)} would be made, a private key")
    for ground in found:
        print(ground.place.region)
        for component, stack in _wanted(ground, wishes):
            parameters = _parameters(component, stack, ground.account, wishes, dry=True)
            print(f"  {component.name} {next_step(stack, component, parameters).value}; {component.keeping}")


def _wanted(ground: Ground, wishes: Wishes) -> list[tuple[Component, Stack | None]]:
    """What is asked for, and what was asked for once."""
    found = [(each, ground.stacks.find(each.stack)) for each in (*COMPONENTS, *WHEN_ASKED_FOR)]
    return [(each, stack) for each, stack in found if each in COMPONENTS or stack or wishes.asks_for(each)]


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


def _set_up(ground: Ground, wishes: Wishes) -> bool:
    """What fails is said, and the rest is made all the same."""
    values: dict[Component, str] = {}
    made = False
    print(ground.place.region)
    wanted = _wanted(ground, wishes)
    for component, stack in wanted:
        with Line(component.name) as line:
            if component is BUCKET and stack is None and ground.account.bucket_is_anothers():
                raise Refused(
                    f"another AWS account has the bucket {ground.place.bucket}; set up another region, or make a bucket"
                    " of your own here and name it in the route's AnnexBucket"
                )
            parameters = _parameters(component, stack, ground.account, wishes)
            if component is REAPER and next_step(stack, component, parameters) is not Step.LEAVE:
                ground.reaper.put_code()
            built = build(ground.stacks, component, parameters, pause=pausing(line.tick))
            values[component] = built.value
            made |= built.how != "unchanged"
            line.says = f"{built.how}; {component.keeping}"
    if len(values) < len(wanted):
        return False
    bad = _bad(ground, patient=made)
    for finding in bad:
        check_setup.show(finding)
    _show_route(ground.place, values)
    return not bad


def _bad(ground: Ground, *, patient: bool) -> list[Finding]:
    """
    Args:
        patient: Something was just made, which not all of AWS sees at once.
    """
    pause = pausing(lambda: None, patience_s=_SEEN_WITHIN_S)
    while True:
        bad = [finding for finding in check_setup.look(ground) if not finding.good]
        if not bad or not patient:
            return bad
        try:
            pause()
        except Unavailable:
            return bad


def _parameters(
    component: Component, stack: Stack | None, account: AccountRegion, wishes: Wishes, *, dry: bool = False
) -> Mapping[str, str]:
    """What nobody asks to be changed stays. A group keeps its VPC: another would be another group, under instances."""
    there = stack.parameters if stack else {}
    if component is REAPER:
        return {"Code": reaper_key()}
    if component in (SECURITY_GROUP, SSH_PORT):
        vpc = there.get("Vpc")
        if wishes.vpc and vpc and wishes.vpc != vpc:
            raise Refused(f"the security group is in {vpc}; for one in {wishes.vpc}, run condor_annex teardown first")
        found = {"Vpc": wishes.vpc or vpc or account.default_vpc()}
        return found if component is SECURITY_GROUP else {**found, "From": wishes.ssh_from or there["From"]}
    if component is SSH_KEY and wishes.key:
        file = key_file(wishes.key)
        if there.get("Name") == wishes.key and not file.exists():
            raise Refused(
                f"the key pair {wishes.key} is there, but {file} isn't; take another name, or its private key"
            )
        public = "" if dry and not file.exists() else public_key(wishes.key)
        if there.get("Name") == wishes.key and there["PublicKey"] != public:
            raise Refused(f"the key pair {wishes.key} belongs to another private key than {file}; take another name")
        return {"Name": wishes.key, "PublicKey": public}
    return there


def _show_route(place: Place, values: Mapping[Component, str]) -> None:
    """The profile only as a remark: an instance that needs no role is better off without."""
    macros: dict[str, list[str]] = {}
    for component, value in values.items():
        if component is not INSTANCE_ROLE:
            macros.setdefault(component.macro, []).append(value)
    print(f"\nFor a route in {place.region}:\n\n  AnnexRegion = {place.region}")
    for macro, found in macros.items():
        print(f"  {macro} = {', '.join(found)}")
    print(
        f"\nAnd only for images that find their bundle by HTCondor's condor-annex-ec2:\n\n"
        f"  {INSTANCE_ROLE.macro} = {values[INSTANCE_ROLE]}\n"
    )
