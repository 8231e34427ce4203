"""Groups of idle jobs as rows of a table: what plan and why show of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from annex_core.cli.screen import Screen
from annex_core.model.wording import counted, size, span

_LEAST = 5
"""Characters that are left of the machines where numbers take the rest."""
_ROWS = 40

Group = Mapping[str, Any]
"""By `group` in schemas/request.json."""


def table(groups: Sequence[Group], screen: Screen, *, served: str) -> None:
    """
    Args:
        served: The head of the column of jobs that machines are asked for.
    """
    gpus = any(each["gpus"] for each in groups)
    heads = ["MACHINES", "JOBS", "CPUS", "MEMORY", *["GPUS"] * gpus, "RUN TIME", "PLACED", served, "WAIT"]
    rows = [
        [
            machines(each),
            f"{each['jobs']}",
            f"{each['cpus']}",
            size(each["memory_mib"]),
            *[f"{each['gpus']}"] * gpus,
            run_time(each),
            *(f"{each[name]}" for name in ("placed", "served", "waiting")),
        ]
        for each in groups[:_ROWS]
    ]
    numbers = sum(1 + max(map(len, column)) for column in [*zip(heads, *rows, strict=True)][1:])
    screen.table(heads, rows, names=[max(_LEAST, screen.width - numbers)])
    if groups[_ROWS:]:
        screen.prose(f"and {counted(len(groups) - _ROWS, 'group')} more; -json shows all")


def reasons(groups: Sequence[Group], screen: Screen) -> None:
    """Why jobs wait, each reason once."""
    waiting: dict[str, int] = {}
    for each in groups:
        if each["why_not_more"]:
            waiting[each["why_not_more"]] = waiting.get(each["why_not_more"], 0) + each["waiting"]
    for why, jobs in sorted(waiting.items(), key=lambda each: -each[1])[:_ROWS]:
        screen.prose(f"  {counted(jobs, 'job')} wait{'s' if jobs == 1 else ''}: {why}")


def machines(group: Group) -> str:
    """3 c5.large, or 3 c5.large+4 where four other types would do."""
    parts = [
        f"{each['machines']} {each['types'][0]}" + (f"+{len(each['types']) - 1}" if len(each["types"]) > 1 else "")
        for each in group["machines"]
    ]
    return ", ".join(parts) or "-"


def run_time(group: Group) -> str:
    known = group["run_time"]
    if not known or not known["jobs"]:
        return "?"
    return span(known["seconds"])
