"""What is checked of a route for jobs that named no annex (AnnexAfter): which jobs it takes, and how."""

import re

import classad2

from annex_core.adapters.route_reading import Reading

_REQUIREMENTS = re.compile(r"requirements\b\s*=?\s*(.*)", re.IGNORECASE | re.DOTALL)
_HAS_NONE_YET = "AnnexProject =?= undefined"
_HAS_WAITED = "(AnnexAfter =?= undefined || time() - EnteredCurrentStatus >= AnnexAfter)"


def check(reading: Reading) -> None:
    if "annexafter" not in reading.own:
        return
    in_place = reading.own.get("editjobinplace")
    if in_place is None or in_place.text.strip().lower() != "true":
        reading.refuse(
            "EditJobInPlace",
            "a route with AnnexAfter edits jobs in place (EditJobInPlace = True): a copy could not run at home",
        )
    said = next((found[1] for line in reading.lines if (found := _REQUIREMENTS.match(line))), "")
    if not said.strip():
        reading.refuse("AnnexAfter", "AnnexAfter needs REQUIREMENTS that say which jobs may go to the cloud")
        return
    names = _names(said)
    if not names & {"annexproject", "targetannexname"}:
        reading.warn(
            "AnnexAfter", f"REQUIREMENTS takes jobs again and again that have their annex: add && {_HAS_NONE_YET}"
        )
    if "annexafter" not in names:
        reading.warn("AnnexAfter", f"REQUIREMENTS takes jobs again and again while they wait: add && {_HAS_WAITED}")


def _names(expression: str) -> set[str]:
    """The attributes that it looks at, in lower case; none where it can't be read (the router says so)."""
    try:
        found = classad2.ClassAd().externalRefs(classad2.ExprTree(expression))
    except classad2.ClassAdException:
        return set()
    return {name.lower().rpartition(".")[2] for name in found}
