"""Machines that are ordinary processes, for people without root: no isolation, but real boot scripts."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from rehearsal.cloud import process_tree
from rehearsal.cloud.launcher import Machine

_KILL_WITHIN_S = 10


class ProcessLauncher:
    """
    Runs an instance's user data with bash, in a directory of its own.

    Args:
        directory: Where machines' directories are made; each goes with its machine.
        condor_config: A configuration that each machine gets as CONDOR_CONFIG, after lines that set MACHINE_DIR,
            MACHINE_ID, MACHINE_ADDRESS, MACHINE_CPUS and MACHINE_MEMORY (MiB). Folders that HTCondor wants to find
            are in MACHINE_DIR: config.d, execute, lock, log, run, spool.
    """

    def __init__(self, directory: Path, condor_config: Path | None = None) -> None:
        self._directory = directory
        self._condor_config = condor_config

    def start(self, machine: Machine) -> "ProcessHandle":
        home = self._directory / machine.instance_id
        home.mkdir(parents=True)
        script = home / "user-data"
        script.write_text(machine.user_data)
        environment = dict(os.environ) | {
            "ANNEX_METADATA": machine.metadata,
            "ANNEX_MACHINE_DIR": str(home),
            "HOME": str(home),
            "TMPDIR": str(home),
        }
        if self._condor_config:
            environment["CONDOR_CONFIG"] = str(self._configure(home, machine, self._condor_config))
        with (home / "console").open("wb") as console:
            process = subprocess.Popen(
                [sys.executable, "-IS", process_tree.__file__, "nice", "bash", str(script)],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return ProcessHandle(process, home)

    def _configure(self, home: Path, machine: Machine, template: Path) -> Path:
        for folder in ("config.d", "execute", "lock", "log", "run", "spool"):
            (home / folder).mkdir()
        made = home / "condor_config"
        made.write_text(
            f"MACHINE_DIR = {home}\n"
            f"MACHINE_ID = {machine.instance_id}\n"
            f"MACHINE_ADDRESS = {machine.address}\n"
            f"MACHINE_CPUS = {machine.vcpus}\n"
            f"MACHINE_MEMORY = {machine.memory_mib}\n"
            f"include : {template.absolute()}\n"
        )
        return made


class ProcessHandle:
    def __init__(self, process: subprocess.Popen[bytes], home: Path) -> None:
        self._process = process
        self._home = home
        self._printed = ""

    def poll(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_KILL_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._printed = self.console()
        shutil.rmtree(self._home, ignore_errors=True)

    def console(self) -> str:
        try:
            return (self._home / "console").read_text(errors="replace")
        except FileNotFoundError:
            return self._printed
