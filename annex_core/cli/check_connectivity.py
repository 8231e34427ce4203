"""condor_annex check-connectivity: do the addresses at which machines report lead to this pool's annex collector?"""

import argparse
import sys
from collections.abc import Mapping, Sequence

import htcondor2

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.prober import prober
from annex_core.adapters.routes import RouteBook, configured
from annex_core.cli.asking_aws import add_regions, aws_region, parser
from annex_core.connectivity import advice, probe
from annex_core.connectivity.addresses import addresses
from annex_core.connectivity.answer import Answer
from annex_core.errors import AnnexError


def run(arguments: Sequence[str]) -> int:
    """A line for each address, as seen from each place; 1 when one of them leads nowhere or elsewhere."""
    options = parser("check-connectivity", "Ask who is at the addresses where machines of annexes report.")
    options.add_argument("collector", nargs="?", help="as in COLLECTOR_HOST; default: ANNEX_COLLECTOR_HOST")
    add_regions(options)
    chosen = options.parse_args(arguments)
    where = chosen.collector if chosen.collector is not None else htcondor2.param.get("ANNEX_COLLECTOR_HOST", "")
    trust_domain = htcondor2.param.get("TRUST_DOMAIN", "")
    if not trust_domain:
        return _failed("TRUST_DOMAIN is not set: nothing tells this pool's collector from another's")
    try:
        wanted = addresses(where)
    except ValueError as error:
        return _failed(f"{'ANNEX_COLLECTOR_HOST' if chosen.collector is None else 'the address'}: {error}")
    print("Asked from this machine:")
    good = _tell([probe.ask(address, trust_domain) for address in wanted], trust_domain)
    for region, endpoint in _regions(chosen).items():
        good &= _from_inside(chosen, region, endpoint, where, trust_domain)
    return 0 if good else 1


def _regions(chosen: argparse.Namespace) -> Mapping[str, str | None]:
    """Those that are named, else those of the routes; and where each answers, if not at AWS."""
    if chosen.regions:
        return dict.fromkeys(chosen.regions, chosen.endpoint)
    try:
        routes = RouteBook(Catalogue()).read(configured()).routes.values()
    except AnnexError as error:
        print(f"Warning: no region was asked: {error}")
        return {}
    return {route.region: chosen.endpoint or route.endpoint for route in routes}


def _from_inside(chosen: argparse.Namespace, region: str, endpoint: str | None, where: str, trust_domain: str) -> bool:
    print(f"Asked from {region}:")
    its = argparse.Namespace(**{**vars(chosen), "endpoint": endpoint})
    try:
        answers = prober(aws_region(its, region), where, trust_domain).ask()
    except AnnexError as error:
        print(f"  nobody could be asked: {error}")
        return not chosen.regions
    if answers is None:
        print(f"  there is no function of ours to ask; condor_annex setup -regions {region} makes it")
        return not chosen.regions
    return _tell(answers, trust_domain)


def _tell(answers: Sequence[Answer], trust_domain: str) -> bool:
    """Whether all are good."""
    for answer in answers:
        print(f"  {advice.line(answer)}")
        if cure := advice.cure(answer, trust_domain):
            print(f"      {cure}")
    for doubt in advice.doubts(answers):
        print(f"  Warning: {doubt}.")
    return all(answer.good for answer in answers)


def _failed(why: str) -> int:
    print(f"condor_annex check-connectivity: {why}", file=sys.stderr)
    return 1
