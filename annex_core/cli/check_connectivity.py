"""condor_annex check-connectivity: do the addresses at which machines report lead to this pool's annex collector?"""

import argparse
import sys
from collections.abc import Sequence

import htcondor2

from annex_core.connectivity import advice, probe
from annex_core.connectivity.addresses import addresses


def run(arguments: Sequence[str]) -> int:
    """A line for each address; 1 when one of them leads nowhere or elsewhere."""
    options = argparse.ArgumentParser(
        prog="condor_annex check-connectivity",
        description="Ask who is at the addresses where machines of annexes report.",
        allow_abbrev=False,
    )
    options.add_argument("collector", nargs="?", help="as in COLLECTOR_HOST; default: ANNEX_COLLECTOR_HOST")
    chosen = options.parse_args(arguments)
    where = chosen.collector if chosen.collector is not None else htcondor2.param.get("ANNEX_COLLECTOR_HOST", "")
    trust_domain = htcondor2.param.get("TRUST_DOMAIN", "")
    if not trust_domain:
        return _failed("TRUST_DOMAIN is not set: nothing tells this pool's collector from another's")
    try:
        wanted = addresses(where)
    except ValueError as error:
        return _failed(f"{'ANNEX_COLLECTOR_HOST' if chosen.collector is None else 'the address'}: {error}")
    answers = [probe.ask(address, trust_domain) for address in wanted]
    for answer in answers:
        print(advice.line(answer))
        if cure := advice.cure(answer, trust_domain):
            print(f"    {cure}")
    for doubt in advice.doubts(answers):
        print(f"Warning: {doubt}.")
    print("Asked from this machine. What stands between it and the cloud, only a machine there can tell.")
    return 0 if all(answer.good for answer in answers) else 1


def _failed(why: str) -> int:
    print(f"condor_annex check-connectivity: {why}", file=sys.stderr)
    return 1
