"""What is to be seen while jobs and machines come and go: the table, and what happened since the last look."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rehearsal import narration
from rehearsal.stage import Stage
from rehearsal.workload import Workload

_COLUMNS = ("idle", "running", "done", "fleets", "wanted", "booting", "joined", "gone")
_STATES = {1: "idle", 2: "running", 5: "held", 6: "running", 7: "running"}
"""JobStatus, as the table counts it; what is completed or removed is done."""


@dataclass(frozen=True)
class Row:
    """One annex at one moment."""

    idle: int = 0
    running: int = 0
    held: int = 0
    done: int = 0
    fleets: int = 0
    wanted: int = 0
    """Instances that were asked for, ever."""
    booting: int = 0
    """Asked for or started, and not in the pool yet."""
    joined: int = 0
    """In the pool now."""
    gone: int = 0

    @property
    def is_gone(self) -> bool:
        return self.gone > 0 and not self.booting + self.joined


class Scene:
    """
    Args:
        loads: Submitted.
    """

    def __init__(self, on: Stage, loads: Sequence[Workload]) -> None:
        self.on = on
        self.loads = loads
        self.annexes: dict[tuple[str, str], dict[str, Any]] = {}
        """The entries of `annexes` in schemas/status.json, by owner and name."""
        self.first_slot: dict[tuple[str, str], int] = {}
        """Epoch seconds when the first of an annex's startds began, as far as seen."""
        self._status = (f"{on.pool.knob('ANNEX_PREFIX')}/bin/condor_annex", "status", "-json")
        self._collector = on.pool.knob("ANNEX_COLLECTOR_HOST")
        self._rows = {load.key: Row() for load in loads}
        self._told: set[tuple[tuple[str, str], str]] = set()

    def look(self) -> list[str]:
        """Ask how things stand; what has happened since the last time, a sentence each."""
        known = json.loads(self.on.pool.ap.run(self._status).stdout)["annexes"]
        self.annexes = {(annex["owner"], annex["name"]): annex for annex in known}
        jobs = self.on.pool.jobs("AnnexProject =!= undefined")
        states = Counter((job["ClusterId"], _STATES.get(job["JobStatus"], "done")) for job in jobs)
        self._note_slots()
        self._rows = {load.key: self._row(load, states) for load in self.loads}
        return [event for load in self.loads for event in self._events(load, self._rows[load.key])]

    @property
    def is_over(self) -> bool:
        """All jobs are done, and all machines and fleets, of which there were some, are gone."""
        return all(
            row.done == load.jobs and row.is_gone and not self._live_fleets(load)
            for load, row in ((load, self._rows[load.key]) for load in self.loads)
        )

    @contextlib.contextmanager
    def shown_on(self, console: Console) -> Iterator[Callable[[], None]]:
        """A function that shows the table as it is: in place on a terminal, else the lines that have changed."""
        if not console.is_terminal:
            before = ["", ""]

            def show_changes() -> None:
                lines = self._lines()
                for line in lines:
                    if line not in before:
                        console.print(" " * 10 + line, markup=False)
                before[:] = lines

            yield show_changes
            return
        # By a thread of its own: while many machines boot, a look can take seconds, and the clock goes on.
        with Live(console=console, get_renderable=self._picture, refresh_per_second=2) as live:
            yield live.refresh

    def _row(self, load: Workload, states: Counter[tuple[int, str]]) -> Row:
        annex = self.annexes.get(load.key, {})
        machines: Counter[str] = Counter(
            {state: count for state, count in annex.get("instances", {}).items() if isinstance(count, int)}
        )
        idle, running, held = (states[load.cluster, state] for state in ("idle", "running", "held"))
        return Row(
            idle=idle,
            running=running,
            held=held,
            done=load.jobs - idle - running - held,
            fleets=len(annex.get("fleets", ())),
            wanted=machines["asked"],
            booting=machines["pending"] + machines["booting"],
            joined=machines["joined"],
            gone=machines["gone"],
        )

    def _live_fleets(self, load: Workload) -> bool:
        fleets = self.annexes.get(load.key, {}).get("fleets", ())
        return any(not fleet["state"].startswith("cancelled") for fleet in fleets)

    def _note_slots(self) -> None:
        keys = {f"annex-{load.user}.{load.annex}": load.key for load in self.loads}
        for slot in self.on.pool.slots(self._collector):
            key = keys.get(str(slot.get("AuthenticatedIdentity", "")).partition("@")[0])
            if key:  # every update of a slot says the same of its startd: a late look tells no later moment
                self.first_slot[key] = min(slot["DaemonStartTime"], self.first_slot.get(key, slot["DaemonStartTime"]))

    def _events(self, load: Workload, row: Row) -> Iterator[str]:
        happened = {
            f"{row.fleets} fleet{'s' * (row.fleets > 1)} of {row.wanted} instances requested": row.fleets > 0,
            "the first instance has joined the pool": load.key in self.first_slot,
            "the first job runs": row.running + row.done > 0,
            f"all {load.jobs} jobs are done": row.done == load.jobs,
            f"all {row.gone} instances are gone": row.is_gone and row.done == load.jobs,
        }
        for number, (sentence, true) in enumerate(happened.items()):
            if true and (load.key, str(number)) not in self._told:
                self._told.add((load.key, str(number)))
                yield f"{load.annex} of {load.user}: {sentence}"

    def _lines(self) -> list[str]:
        """The table; two lines of headings."""
        names = [("annex", "owner", "project"), *((load.annex, load.user, load.project) for load in self.loads)]
        widths = [max(map(len, column)) for column in zip(*names, strict=True)]

        def line(named: Sequence[str], numbers: Sequence[object]) -> str:
            left = [f"{name:<{width}}" for name, width in zip(named, widths, strict=True)]
            right = [f"{number:>{len(column)}}" for number, column in zip(numbers, _COLUMNS, strict=True)]
            return " ".join(left + right)

        before = " " * (sum(widths) + len(widths))
        rows = [line(names[0], _COLUMNS)]
        for named, load in zip(names[1:], self.loads, strict=True):
            row = self._rows[load.key]
            held = f"  ({row.held} held)" if row.held else ""
            rows.append(line(named, [getattr(row, column) for column in _COLUMNS]) + held)
        return [f"{before}jobs" + " " * 21 + "instances", *rows]

    def _picture(self) -> Group:
        head, names, *rows = self._lines()
        done, jobs = sum(row.done for row in self._rows.values()), sum(load.jobs for load in self.loads)
        progress = Table.grid(padding=(0, 1))
        progress.add_row(
            ProgressBar(total=jobs, completed=done, width=40),
            f"{done} of {jobs} jobs done after {narration.elapsed():.0f} s",
        )
        return Group("", Text(head, "bold"), Text(names, "bold"), *map(Text, rows), "", progress)
