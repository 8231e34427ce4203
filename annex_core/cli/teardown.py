"""condor_annex teardown: the inverse of setup, and a list of what is left, which has to be empty."""

import sys
from collections.abc import Sequence

from annex_core.account.checks import Place
from annex_core.account.components import ALL_COMPONENTS, BUCKET, REAPER
from annex_core.account.remains import Thing, elsewhere, left, orphaned_templates
from annex_core.account.stacks import take_down
from annex_core.cli.asking_aws import Ground, add_audit_log, add_credentials, add_regions, grounds, parsed, parser
from annex_core.cli.consent import agreed
from annex_core.cli.progress import Line, pausing
from annex_core.errors import AnnexError


def run(arguments: Sequence[str]) -> int:
    """1 when annexes live, when something couldn't be removed, and when something of ours is left, in any region."""
    options = parser("teardown", "Remove from an AWS account what setup made, and list what is left.")
    add_credentials(options)
    add_regions(options)
    add_audit_log(options)
    options.add_argument("-dry-run", "--dry-run", action="store_true", help="say what would be removed")
    options.add_argument("-yes", "--yes", action="store_true", help="don't ask")
    wanted = parsed(options, arguments)
    try:
        found = grounds(wanted)
        living = [
            f"in {ground.place.region}: {annex}" for ground in found for annex in ground.account.living().annexes()
        ]
        if living:
            print("condor_annex teardown: annexes live, and would be cut off", *living, sep="\n  ", file=sys.stderr)
            return 1
        if wanted.dry_run:
            for ground in found:
                _say(ground.place, "would go", _left(ground))
            _say_elsewhere(found)
            return 0
        where = ", ".join(ground.place.region for ground in found)
        if not agreed(f"Remove condor-annex from account {found[0].place.account}, {where}?", yes=wanted.yes):
            return 1
        for ground in found:
            _take_down(ground)
        remains = [(ground.place, _left(ground)) for ground in found]
        for place, things in remains:
            _say(place, "is left", things)
        more = _say_elsewhere(found)
        return 1 if more or any(things for _, things in remains) else 0
    except AnnexError as error:
        print(f"condor_annex teardown: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncondor_annex teardown: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _say(place: Place, what: str, things: Sequence[Thing]) -> None:
    print(f"{place.region}: {'this' if things else 'nothing'} {what}{':' if things else ''}")
    for thing in things:
        print(f"  {thing}")


def _say_elsewhere(found: Sequence[Ground]) -> bool:
    """Whether the account is set up in regions that weren't named."""
    others = elsewhere(found[0].account.roles(), [ground.place.region for ground in found])
    for region, roles in others.items():
        print(f"{region}: was not looked at, and these are there:")
        for role in roles:
            print(f"  role {role}")
    if others:
        print(f"run: condor_annex teardown -regions {' '.join(others)}")
    return bool(others)


def _left(ground: Ground) -> list[Thing]:
    """All that carries our tags or our names, by asking AWS."""
    formed = [Thing("stack", each.stack) for each in ALL_COMPONENTS if ground.stacks.find(each.stack)]
    return left(
        ground.account.tagged(), [*ground.account.others(), *ground.reaper.things(), *formed], ground.account.living()
    )


def _take_down(ground: Ground) -> None:
    """What can't be removed is said, and the rest goes all the same."""
    print(ground.place.region)
    with Line("launch templates") as line:
        templates = orphaned_templates(ground.account.tagged())
        for template in templates:
            ground.account.delete_template(template)
        line.says = f"{len(templates)} of annexes that are no more, deleted"
    for component in reversed(ALL_COMPONENTS):
        with Line(component.name) as line:
            bundles = ground.account.empty_bucket() if component is BUCKET else 0
            there = take_down(ground.stacks, component, pause=pausing(line.tick))
            line.says = "deleted" if there else "was not there"
            if component is REAPER and ground.reaper.forget():
                line.says += ", with its heartbeat and any freeze"
            if bundles:
                line.says += f", with {bundles} bundle{'' if bundles == 1 else 's'}"
