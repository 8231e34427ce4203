"""condor_annex lint: are routes and limits in the configuration any good, and can the job router run its hooks?"""

import shutil
import sys
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.hooks import unusable_hooks
from annex_core.adapters.pool_limits import KNOB, pool_limits
from annex_core.adapters.routes import RouteBook, configured
from annex_core.cli.typed import Parser
from annex_core.errors import AnnexError
from annex_core.model.limits import EACH, Kind, PoolLimits


def run(arguments: Sequence[str]) -> int:
    """One finding a line; 1 when a route or a hook can't be used."""
    Parser("lint", "Check the routes in HTCondor's configuration, and the job router's hooks.").parse_args(arguments)
    try:
        reading = RouteBook(Catalogue()).read(configured())
    except AnnexError as error:
        print(f"condor_annex lint: {error}", file=sys.stderr)
        return 1
    hooks = list(unusable_hooks())
    limits = pool_limits()
    for finding in [*reading.findings, *hooks, *_limits(limits, {*reading.routes, *reading.refused}), *_shadowed()]:
        print(finding)
    good = sorted(reading.routes.keys() - reading.refused.keys())
    print(f"Good annex routes: {', '.join(good) or 'none'}.")
    return 1 if reading.refused or hooks or limits.malformed else 0


def _limits(limits: PoolLimits, routes: Container[str]) -> Iterator[str]:
    if limits.malformed:
        yield f"{KNOB}: error: {limits.malformed}; nothing is launched"
    for subject in limits.said:
        if subject.kind is Kind.ROUTE and subject.name != EACH and subject.name not in routes:
            yield f"{KNOB}: warning: there is no route {subject.name}, so that its limits bind nobody"


def _shadowed() -> Iterator[str]:
    """A warning where the PATH has HTCondor's withdrawn tool in our place, which has our name."""
    ours, found = Path(sys.prefix, "bin", "condor_annex"), shutil.which("condor_annex")
    if found and Path(found).resolve() != ours.resolve():
        yield f"{found}: warning: condor_annex means this program here; ours is {ours}"
