"""
What a submit file comes to, by HTCondor's own programs and without submitting anything.

condor_submit -dry-run makes the jobs, and condor_transform_ads puts them through the transforms that the schedd and the
job router would apply, as the configuration here has them.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import classad2

from annex_core.errors import BadRequest, Refused, Unavailable
from annex_core.model.wording import counted

Raw = dict[str, str]
"""A job ad: attributes, and their expressions as text."""

SHAPES = 2000
"""Kinds of jobs in one question, by schemas/request.json."""
_TAKEN = frozenset({"dump", "dry-run", "capabilities", "interactive", "i", "help", "h"})
"""Options of condor_submit that make no sense here."""
_EACH_ITS_OWN = frozenset({"clusterid", "procid", "jobstatus", "qdate", "globaljobid"})
"""Attributes that make no kind of job, wherever they are looked at."""
_TOLD = re.compile(r"^(request|annex|requirements$|requiregpus$|cmd$|jobbatchname$|jobuniverse$|jobmaterialize)", re.I)
"""Attributes that annexes are planned by, beside what they refer to."""
_LATE = ("JobMaterializeMaxIdle", "JobMaterializeLimit")
_NAME = re.compile(r"[A-Za-z_]\w*")
_SUM = re.compile(r"[\d\s.+\-*/%()]+")


@dataclass(frozen=True)
class Kind:
    """Jobs that differ in nothing that a machine is chosen by."""

    ad: Raw
    jobs: int


@dataclass(frozen=True)
class Submission:
    kinds: tuple[Kind, ...]
    at_a_time: int | None
    """So many of them wait at a time at most (max_idle, max_materialize); None is all."""


def submission(arguments: Sequence[str], *, looked_at: Iterable[str] = ()) -> Submission:
    """
    Args:
        arguments: condor_submit's.
        looked_at: Texts of transforms: what they refer to tells jobs apart, too.

    Raises:
        BadRequest: The command line makes no sense.
        Refused: condor_submit refused it; with its own words.
        Unavailable: It can't be run.
    """
    for word in arguments:
        if word.startswith("-") and word.lstrip("-").partition(":")[0] in _TAKEN:
            raise BadRequest(f"{word} makes no sense here: nothing is submitted")
    typed = None if sys.stdin.isatty() or "-" not in arguments else sys.stdin.read()
    ads = _dry_run(arguments, typed)
    late = [value for name in _LATE if (value := ads[0].get(name, "")).isdigit()] if ads else []
    if late:  # a factory shows its template alone
        ads = _dry_run([*arguments, "-append", "max_materialize =", "-append", "max_idle ="], typed)
    if not ads:
        raise Refused("the submit file makes no job")
    return Submission(tuple(_kinds(ads, looked_at)), min(map(int, late), default=None))


def _dry_run(arguments: Sequence[str], typed: str | None) -> list[Raw]:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "ads")
        done = _run(["condor_submit", "-dry-run", str(made), *arguments], typed)
        if done.returncode != 0 or not made.is_file():
            said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
            raise Refused(f"condor_submit: {' '.join(said) or f'exit status {done.returncode}'}")
        return jobs_of(made.read_text(errors="replace"))


def jobs_of(text: str) -> list[Raw]:
    """The jobs of a dry run: the first of a cluster is whole, the others say what is different."""
    found: list[Raw] = []
    cluster: Raw = {}
    for ad in chunks(text):
        if "ClusterId" in ad:
            cluster = ad
        found.append({**cluster, **ad})
    return found


def chunks(text: str) -> Iterator[Raw]:
    """Ads in the long form, with empty lines between them."""
    lines = (line.strip() for line in text.splitlines())
    for some, group in groupby(lines, key=bool):
        if some:
            yield {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in group)}


def _kinds(ads: Sequence[Raw], looked_at: Iterable[str]) -> Iterator[Kind]:
    """The jobs, counted by all that may matter: what annexes are planned by, and what that refers to."""
    matters = {name.lower() for text in looked_at for name in _NAME.findall(text)}
    names = {name for ad in ads for name in ad}
    texts = {name: {ad[name] for ad in ads if name in ad} for name in names}
    matters |= {name.lower() for name in names if _TOLD.match(name)}
    todo = [name for name in names if name.lower() in matters]
    while todo:
        refers = {each.lower() for text in texts[todo.pop()] for each in _NAME.findall(text)}
        todo += [name for name in names if name.lower() in refers - matters]
        matters |= refers
    kept = sorted(name for name in names if name.lower() in matters - _EACH_ITS_OWN)
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    first: dict[tuple[tuple[str, str], ...], Raw] = {}
    for ad in ads:
        kind = tuple((name, _worked_out(name, ad[name])) for name in kept if name in ad)
        counts[kind] += 1
        first.setdefault(kind, ad)
    if len(counts) > SHAPES:
        raise Refused(f"the jobs are of {len(counts)} kinds, and {SHAPES} can be planned for in one question")
    for kind, jobs in counts.items():
        yield Kind({**first[kind], **dict(kind)}, jobs)


def _worked_out(name: str, text: str) -> str:
    """What $(ProcId) made a sum of in each job is a number."""
    if not name.lower().startswith("request") or text.isdigit() or not _SUM.fullmatch(text):
        return text
    try:
        value = classad2.ExprTree(text).eval()
    except (classad2.ClassAdException, ValueError, SyntaxError):
        return text
    return str(value) if isinstance(value, int | float) and not isinstance(value, classad2.Value) else text


def transformed(ads: Sequence[Mapping[str, str]], transforms: Sequence[str], routes: Sequence[str]) -> list[Raw]:
    """
    The ads as schedd and router would leave them.

    Args:
        transforms: Names of JOB_TRANSFORM_..., in order.
        routes: Names of JOB_ROUTER_ROUTE_..., in order.

    Raises:
        Unavailable: condor_transform_ads can't be run, or did not get through.
    """
    words = ["condor_transform_ads"]
    words += ["-jobtransforms", " ".join(transforms)] if transforms else []
    words += [word for name in routes for word in ("-jobroute", name)]
    text = "\n\n".join("\n".join(f"{name} = {value}" for name, value in ad.items()) for ad in ads)
    done = _run([*words, "-in:long", "-"], text + "\n")
    made = list(chunks(done.stdout))
    if len(made) != len(ads):  # its exit status is 1 even where all is well (23.9)
        why = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise Unavailable(f"condor_transform_ads gave {len(made)} of {counted(len(ads), 'job ad')} back: {why}")
    return made


def _run(words: Sequence[str], typed: str | None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(words, input=typed or "", capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        raise Unavailable(f"{words[0]} can't be run: {error}") from error
