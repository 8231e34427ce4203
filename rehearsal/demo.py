"""
The main job, watched: two users submit sixty-two jobs to three annexes; machines come, run them and go.

Everything is asked as a user or an administrator would ask it: condor_submit, condor_q, condor_status,
condor_annex status, and AWS's own API for tags.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console

from rehearsal import narration, sandbox, summary
from rehearsal.personal import a_stage
from rehearsal.scene import Scene
from rehearsal.stage import Stage
from rehearsal.workload import workloads

PATIENCE_S = 240
CLOUD = ("--boot-delay", "3", "--boot-jitter", "5", "--tag-delay", "5")

Say = Callable[[str], None]


def main() -> int:
    console = Console(highlight=False, soft_wrap=True)

    def say(what: str, style: str = "") -> None:
        console.print(narration.line(what, console.width if console.is_terminal else 0), style=style, markup=False)

    try:
        sandbox.admit()
        with _staged(say) as on:
            return play(on, console, say)
    except KeyboardInterrupt:
        say("interrupted: everything is taken down")
        return 130
    except TimeoutError as error:
        say(f"the pool does not come up: {error}", "bold red")
        console.print(*getattr(error, "__notes__", ()), sep="\n", markup=False)
        return 1


@contextlib.contextmanager
def _staged(say: Say) -> Iterator[Stage]:
    say("starting a local cloud, a pool, and an access point with condor-annex")
    with a_stage(*CLOUD) as on:
        say(f"the pool is up: {len(on.pool.slots())} ordinary slots at the site, none in the cloud")
        yield on


def play(on: Stage, console: Console, say: Callable[..., None]) -> int:
    """
    The demo on a stage.

    Returns:
        Its exit status: 0 only if every job gave the right output and nothing rented is left.
    """
    loads = workloads(*on.pool.users)
    for load in loads:
        load.submit(on.pool)
        cpus = f"{load.cpus} CPU{'s' * (load.cpus > 1)}"
        say(f"{load.user}: {load.typed} ({load.jobs} jobs of {cpus} for annex {load.annex})")
    scene = Scene(on, loads)
    done = watch(scene, console, say)
    calls = on.cloud.calls()  # before those that we make ourselves
    things = summary.rented(on)
    faults = [fault for load in loads for fault in load.faults(on.pool)] + [*summary.faults(things)]
    if done and not faults:
        summary.show(scene, calls, things, console)
        jobs = sum(load.jobs for load in loads)
        say(f"{jobs} of {jobs} jobs gave the right output; no machine and no fleet is left", "bold green")
        return 0
    if not done:
        say(f"not done after {PATIENCE_S} s", "bold red")
    summary.explain(scene, faults, things, console)
    return 1


def watch(scene: Scene, console: Console, say: Say) -> bool:
    """Show what happens until all jobs are done and all machines gone; False if PATIENCE_S was not enough."""
    ends = time.monotonic() + PATIENCE_S
    with scene.shown_on(console) as show:
        while time.monotonic() < ends:
            try:
                for event in scene.look():
                    say(event)
            except subprocess.CalledProcessError as error:  # on a busy machine HTCondor's own time out now and then
                say(f"{error.cmd[0]} got no answer, and is asked again")
            show()
            if scene.is_over:
                return True
            time.sleep(0.5)
    return False


if __name__ == "__main__":
    sys.exit(main())
