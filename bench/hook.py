"""
How long a translate hook's process takes, beside an interpreter that starts and does nothing.

Both are the interpreter of the hook's first line, both get a job ad on standard input, and the daemon's own server
answers. Runs alternate, so that what else the machine does falls on both. The ratio of the medians is printed last.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from annex_core.adapters.server import Call, Server
from annex_core.model import jobad

RUNS = 200
LIMIT = 2.5
HOOK = Path(__file__).parents[1] / "router_hooks" / "annex_translate"
ROUTE = b'[ Name = "annex"; TargetUniverse = 5 ]'
JOB = b'ClusterId = 7\nProcId = 0\nOwner = "alice"\n' + b"".join(b'Attr%d = "a value"\n' % i for i in range(150))


def main() -> int:
    interpreter = HOOK.read_text().splitlines()[0].removeprefix("#!").split()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "annexd.sock")
        environment = {**os.environ, "ANNEXD_SOCKET": str(path)}
        hook: list[float] = []
        nothing: list[float] = []
        with Server(path, translate):
            for _ in range(RUNS):
                nothing.append(wall_ms([*interpreter, "-c", "pass"], environment))
                hook.append(wall_ms([str(HOOK)], environment))
    ratio = statistics.median(hook) / statistics.median(nothing)
    print(f"{RUNS} runs each, median: {' '.join(interpreter)} -c pass {statistics.median(nothing):.1f} ms,", end=" ")
    print(f"annex_translate {statistics.median(hook):.1f} ms; limit {LIMIT}")
    print(f"ratio {ratio:.2f}")
    return 0 if ratio <= LIMIT else 1


def translate(call: Call) -> bytes:
    if call.verb == "wake":
        return b""
    return jobad.with_attributes(jobad.split_translate(call.body).job, {"AnnexStatus": jobad.literal("on its way")})


def wall_ms(command: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, input=ROUTE + jobad.SEPARATOR + JOB, env=environment, capture_output=True, check=True
    )
    took = (time.perf_counter() - began) * 1000
    assert not done.stderr, done.stderr
    return took


if __name__ == "__main__":
    sys.exit(main())
