"""Jobs that users bring to the demo, and whether their results are right."""

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rehearsal.pool import Pool

_JOB = """\
#!/bin/sh
# Reads its input, takes its time, and writes what can be checked: the input's digest and where it ran.
set -e
sleep "$3"
sha256sum <"$1" >"$2"
grep -E '^(AnnexName|Cpus) = ' "$_CONDOR_MACHINE_AD" >>"$2"
"""

_SUBMIT = """\
executable = measure.sh
arguments = sample.$(ProcId) result.$(ProcId) {seconds}
transfer_input_files = sample.$(ProcId)
transfer_output_files = result.$(ProcId)
should_transfer_files = YES
request_cpus = {cpus}
request_memory = 200MB
request_disk = 50MB
log = jobs.log
error = error.$(ProcId)
{commands}
queue {jobs}
"""


@dataclass
class Workload:
    """One user's jobs for one annex."""

    user: str
    annex: str
    project: str
    jobs: int
    cpus: int
    seconds: int
    typed: str
    """What the user types in a login shell, but for the submit file."""
    commands: str
    """The submit file's lines about the annex."""
    samples: dict[str, str] = field(default_factory=dict)
    """Name to content of the input files."""
    cluster: int = 0
    submitted: float = 0.0
    """Epoch seconds when condor_submit had returned."""

    @property
    def key(self) -> tuple[str, str]:
        return self.user, self.annex

    def submit(self, pool: Pool) -> None:
        draw = random.Random(f"{self.user}/{self.annex}")  # noqa: S311 - samples, not secrets
        self.samples = {f"sample.{n}": draw.randbytes(2000).hex() for n in range(self.jobs)}
        text = _SUBMIT.format(seconds=self.seconds, cpus=self.cpus, commands=self.commands, jobs=self.jobs)
        shell = ("bash", "-lc", f'{self.typed} "$@"', "bash")
        self.cluster = pool.submit(self.user, text, {"measure.sh": _JOB, **self.samples}, shell)
        self.submitted = time.time()

    def faults(self, pool: Pool) -> Iterator[str]:
        """What is wrong with the results; nothing is right."""
        for number in range(self.jobs):
            job = f"job {self.cluster}.{number}"
            try:
                first, *others = pool.output(self.cluster, f"result.{number}").splitlines()
            except (OSError, ValueError) as error:
                yield f"{job} left no result: {error}"
                continue
            if first.split()[0] != hashlib.sha256(self.samples[f"sample.{number}"].encode()).hexdigest():
                yield f"{job} read something else than its input"
            for right in (f'AnnexName = "{self.annex}"', f"Cpus = {self.cpus}"):
                if right not in others:
                    yield f"{job} ran elsewhere: {', '.join(others)}, not {right}"


def workloads(first: str, second: str) -> list[Workload]:
    """
    Sixty-two jobs for three annexes, submitted in three ways.

    Args:
        first, second: User names. Two users have annexes of one name; with one user, their names differ.
    """
    other = "sky" if first != second else "sea"
    return [
        Workload(first, "sky", "astro", 28, 1, 6, "condor_submit", "annex_name = sky\nannex_project = astro"),
        Workload(second, other, "cosmos", 24, 1, 6, f"condor_submit_annex -annex {other}", "annex_project = cosmos"),
        Workload(second, "muon", "cosmos", 10, 4, 8, "condor_submit -annex muon", "annex_project = cosmos"),
    ]
