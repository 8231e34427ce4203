"""condor_annex why: what was decided for the idle jobs of an annex, group by group, and why they get no more."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from annex_core.cli import groups
from annex_core.cli.asking_daemon import ask
from annex_core.cli.screen import Screen, Style
from annex_core.cli.typed import Parser, annex_name
from annex_core.errors import AnnexError, BadRequest, Refused
from annex_core.model.wording import span

Answer = dict[str, Any]
"""By `answers.why` in schemas/request.json."""


def run(arguments: Sequence[str]) -> int:
    """1 when there is no such annex or job, or no answer; 2 when it makes no sense."""
    parser = Parser("why", __doc__)
    parser.add_argument("what", metavar="NAME | JOB", help="an annex, or a job such as 12.3")
    parser.add_argument("-owner", "--owner", metavar="USER", help="whose annex; others' are for administrators")
    parser.add_argument("-json", "--json", action="store_true", help="all there is, by schemas/request.json")
    wanted = parser.parse_args(arguments)
    is_job = "." in wanted.what
    try:
        if is_job:
            answer = _of_job(wanted.what, wanted.owner)
        else:
            named = annex_name(wanted.what)
            answer = ask("why", {"name": named, **({"owner": wanted.owner} if wanted.owner else {})})
    except (AnnexError, ValueError) as error:
        print(f"condor_annex why: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadRequest | ValueError) else 1
    if wanted.json:
        print(json.dumps(answer, indent=2))
    else:
        show(answer, Screen())
    return 0


def show(answer: Answer, screen: Screen) -> None:
    if job := answer.get("job"):
        screen.prose(f"Job {job['id']}: {job['state']}.", Style.BOLD)
    screen.prose(answer["status"], Style.PLAIN if answer.get("job") else Style.BOLD)
    if answer["groups"]:
        screen.line()
        groups.table(answer["groups"], screen, served="ASKED")
        groups.reasons(answer["groups"], screen)
        screen.line()
    age = span((datetime.now(UTC) - datetime.fromisoformat(answer["as_of"])).total_seconds())
    legend = (
        f"As of {age} ago. Of the JOBS of a line, PLACED have room on machines that are there or on their way, ASKED "
        "get the MACHINES of this plan, WAIT get nothing yet."
    )
    screen.prose(legend if answer["groups"] else f"As of {age} ago.", Style.DIM)


def _of_job(text: str, owner: str | None) -> Answer:
    """
    The answer for a job's annex, with the group that is the job's alone, and `job`: its id, and its state in words.

    Raises:
        BadRequest: It is no job id.
        Refused: There is no such job, or it names no annex.
        Unavailable: The schedd or the daemon does not answer.
    """
    from annex_core.adapters.job import job_of  # HTCondor's bindings take 70 ms to load

    job = job_of(text, datetime.now(UTC))
    if owner not in (None, job.key.owner):
        raise Refused(f"job {text} is {job.key.owner}'s")
    answer: Answer = ask("why", {"name": job.key.name, "owner": job.key.owner})
    mine = [each for each in answer["groups"] if job.idle and _like(each, job.shape)]
    return {**answer, "job": {"id": job.id, "state": job.state}, "groups": mine}


def _like(group: Mapping[str, Any], shape: Mapping[str, Any]) -> bool:
    return all(group[name] == value for name, value in shape.items())
