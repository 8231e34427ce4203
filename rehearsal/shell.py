"""
The demo's pool and cloud to play in: a login shell on the access point, as an ordinary user.

Leaving the shell ends it all.
"""

import os
import subprocess
import sys

from rehearsal import narration, sandbox
from rehearsal.demo import CLOUD
from rehearsal.personal import a_stage
from rehearsal.stage import Stage

_EXAMPLE = """\
# Five jobs of ten seconds for whichever annex is named on the command line.
executable = hello.sh
arguments = $(ProcId)
output = hello.$(ProcId).out
log = hello.log
request_cpus = 1
request_memory = 200MB
request_disk = 50MB
queue 5
"""

_JOB = """\
#!/bin/sh
echo "hello from job $1, on $(hostname)"
grep -E '^(AnnexName|EC2InstanceID|EC2InstanceType) = ' "$_CONDOR_MACHINE_AD"
sleep 10
"""

_GREETING = """
You are {user} on an access point of HTCondor with condor-annex. The cloud is a
local one: its machines boot in seconds, cost nothing, and leave when idle.

  condor_submit -annex blue hello.sub    five jobs that make annex blue
  condor_q                               how they fare
  condor_annex status blue               the annex, its fleet and its machines

Leave with exit or Ctrl-D: the pool, the cloud and all files in here go with you.
"""


def main() -> int:
    narration.say("starting a local cloud, a pool, and an access point with condor-annex")
    try:
        sandbox.admit()
        with a_stage(*CLOUD) as on:
            return play(on)
    except KeyboardInterrupt:
        return 130


def play(on: Stage) -> int:
    """The shell's exit status, where commands are piped in; a person's last one is nobody's business."""
    user = on.pool.users[0]
    home = on.pool.ap.home(user)
    on.pool.ap.write(f"{home}/hello.sub", _EXAMPLE, user=user)
    on.pool.ap.write(f"{home}/hello.sh", _JOB, user=user, mode=0o755)
    print(_GREETING.format(user=user), flush=True)
    command = on.pool.ap.command
    environment = {"TERM": os.environ.get("TERM", "dumb")}
    if not sys.stdin.isatty():
        return subprocess.call(command(["bash", "-l"], user=user, env=environment))
    # A terminal of the access point's own: job control needs one whose processes the shell can see.
    terminal = ["script", "--quiet", "--command", "bash -l", "/dev/null"]
    return subprocess.call(command(terminal, user=user, env=environment))


if __name__ == "__main__":
    sys.exit(main())
