"""The front end as a process, before a condor_submit that shows what it was given."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from submit_hooks import condor_submit_annex

Run = Callable[..., subprocess.CompletedProcess[str]]

PROFILE = Path(condor_submit_annex.__file__).parent / "profile.d" / "condor_annex.sh"
SHOW = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
print("to stderr", file=sys.stderr)
sys.exit(7)
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A PATH with that condor_submit, and a prefix where the front end is installed."""
    program(tmp_path / "condor" / "condor_submit", SHOW)
    front_end = f'#!/bin/sh\nexec {sys.executable} -IS {condor_submit_annex.__file__} "$@"\n'
    program(tmp_path / "prefix" / "bin" / "condor_submit_annex", front_end)
    return {"PATH": f"{tmp_path / 'condor'}:/usr/bin:/bin", "CONDOR_ANNEX_PREFIX": str(tmp_path / "prefix")}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [f"{environment['CONDOR_ANNEX_PREFIX']}/bin/condor_submit_annex", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def given(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What condor_submit got; it was not called where this fails."""
    assert done.returncode == 7, done.stderr
    arguments: list[str] = json.loads(done.stdout)
    return arguments


def test_the_annex_becomes_an_appended_submit_command(run: Run) -> None:
    assert given(run("-annex", "blue", "job.sub")) == ["-append", "annex_name = blue", "job.sub"]


@pytest.mark.parametrize(("option", "command"), [(o, c) for o, (c, _, _) in condor_submit_annex.OPTIONS.items()])
def test_each_option_with_a_value_becomes_its_command(run: Run, option: str, command: str) -> None:
    assert given(run(f"-{option}", "8", "job.sub")) == ["-append", f"{command} = 8", "job.sub"]


@pytest.mark.parametrize(("option", "command"), [(o, c) for o, (c, _) in condor_submit_annex.FLAGS.items()])
def test_a_flag_needs_no_value(run: Run, option: str, command: str) -> None:
    assert given(run(f"-{option}", "job.sub")) == ["-append", f"{command} = True", "job.sub"]


def test_two_dashes_do_as_well_as_one(run: Run) -> None:
    assert given(run("--annex", "blue")) == ["-append", "annex_name = blue"]


def test_arguments_of_condor_submit_keep_their_order_and_spelling(run: Run) -> None:
    theirs = ["-spool", "-append", "x = 'a b'", "", "-", "name=va lue"]
    assert given(run(*theirs[:2], "-annex", "blue", *theirs[2:]))[2:] == theirs


def test_without_annex_options_nothing_is_appended(run: Run) -> None:
    assert given(run("job.sub", "-queue", "3")) == ["job.sub", "-queue", "3"]


def test_an_option_may_follow_queue_as_those_of_condor_submit_may(run: Run) -> None:
    assert given(run("job.sub", "-queue", "3", "-annex", "blue")) == [
        "-append", "annex_name = blue", "job.sub", "-queue", "3"
    ]  # fmt: skip


def test_a_negative_number_is_a_value_for_the_schedd_to_refuse(run: Run) -> None:
    assert given(run("-annex-budget", "-5", "job.sub")) == ["-append", "annex_budget = -5", "job.sub"]


def test_a_dry_run_goes_to_the_plan_beside_the_front_end_and_not_to_condor_submit(
    run: Run, environment: dict[str, str]
) -> None:
    program(Path(environment["CONDOR_ANNEX_PREFIX"]) / "bin" / "condor_annex", SHOW.replace("(7)", "(8)"))
    front_end = Path(environment["CONDOR_ANNEX_PREFIX"], "bin", "condor_submit_annex")
    front_end.write_text(Path(condor_submit_annex.__file__).read_text().replace('"""', f'#!{sys.executable}\n"""', 1))
    done = run("-annex", "blue", "-annex-dry-run", "job.sub", "-route", "spot")
    assert (done.returncode, json.loads(done.stdout)) == (
        8,
        ["plan", "-append", "annex_name = blue", "job.sub", "-route", "spot"],
    )


def test_output_and_exit_status_are_condor_submit_s(run: Run) -> None:
    done = run("-annex", "blue")
    assert (done.returncode, done.stderr) == (7, "to stderr\n")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-annex"], id="no value"),
        pytest.param(["-annex", ""], id="empty"),
        pytest.param(["-annex", "  "], id="blank"),
        pytest.param(["-annex", "-annex-idle", "5m"], id="another option for a value"),
        pytest.param(["-annex", "blue", "-annex", "blue"], id="twice"),
        pytest.param(["-annex-never", "-annex-never"], id="a flag twice"),
        pytest.param(["-annex", "blue\nexecutable = /bin/evil"], id="a line break"),
        pytest.param(["-annex", "blue\rqueue 5"], id="a carriage return"),
        pytest.param(["-annex", "blue\\"], id="a line continued"),
        pytest.param(["-annex", 'bl"ue'], id="a quote"),
        pytest.param(["-annex", "$(HOME)"], id="a macro"),
    ],
)
def test_a_bad_option_stops_before_condor_submit(run: Run, arguments: list[str]) -> None:
    done = run("job.sub", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("condor_submit_annex: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["-annex", "j.sub"], "-annex NAME j.sub"),
        (["-annex", "../jobs/j"], "-annex NAME ../jobs/j"),
        (["j.sub", "-annex"], "-annex NAME"),
        (["-annex-idle", "-annex", "blue"], "-annex-idle TIME"),
        (["-annex", "blue", "-annex-lifetime", "j.sub"], "-annex-lifetime TIME j.sub"),
        (["-Annex", "blue"], "write -annex NAME"),
        (["-annex=blue"], "write -annex NAME"),
        (["-annex_budget", "5"], "write -annex-budget USD"),
        (["-annex-never=True"], "write -annex-never"),
        (["-annex-foo", "1"], "-annex-help"),
    ],
)
def test_a_slip_is_told_with_what_to_write(run: Run, arguments: list[str], advice: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert advice in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_arguments_a_submit_description_may_be_piped_in(run: Run) -> None:
    assert given(run()) == []


def test_without_arguments_at_a_terminal_the_usage_is_shown(environment: dict[str, str]) -> None:
    terminal, program_s_end = pty.openpty()
    command = [f"{environment['CONDOR_ANNEX_PREFIX']}/bin/condor_submit_annex"]
    done = subprocess.run(
        command, env=environment, stdin=program_s_end, capture_output=True, text=True, timeout=20, check=False
    )
    os.close(terminal)
    os.close(program_s_end)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: condor_submit -annex NAME" in done.stderr


@pytest.mark.parametrize("option", ["-h", "-help", "--help"])
def test_help_comes_before_condor_submit_s_own(run: Run, option: str) -> None:
    done = run(option)
    ours, _, theirs = done.stdout.rstrip("\n").rpartition("\n")
    assert "Usage: condor_submit -annex NAME" in ours
    assert (done.returncode, json.loads(theirs)) == (7, [option])


def test_help_lists_every_option_and_submits_nothing(run: Run) -> None:
    done = run("-annex", "blue", "-annex-help")
    assert done.returncode == 0
    for option in condor_submit_annex.OPTIONS | condor_submit_annex.FLAGS:
        assert f"-{option} " in done.stdout


def test_a_missing_condor_submit_is_said_in_one_line(run: Run, environment: dict[str, str]) -> None:
    environment["PATH"] = "/nowhere"
    done = subprocess.run(
        [sys.executable, "-IS", condor_submit_annex.__file__, "-annex", "blue"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (127, 1)


@pytest.mark.parametrize("shell", ["sh", "bash"])
class TestProfile:
    def in_shell(self, shell: str, command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        text = f". {PROFILE}\n{command}"
        return subprocess.run([shell, "-c", text], env=environment, capture_output=True, text=True, check=False)

    def test_condor_submit_takes_annex_options(self, shell: str, environment: dict[str, str]) -> None:
        done = self.in_shell(shell, "condor_submit -spool -annex blue 'a job.sub'", environment)
        assert given(done) == ["-append", "annex_name = blue", "-spool", "a job.sub"]

    @pytest.mark.parametrize("option", ["--annex", "-Annex", "-annex=blue", "-annex_name"])
    def test_slips_are_the_front_end_s_to_tell(self, shell: str, option: str, environment: dict[str, str]) -> None:
        done = self.in_shell(shell, f"condor_submit {option}", environment)
        assert (done.returncode, done.stderr[:21]) == (2, "condor_submit_annex: ")

    def test_condor_submit_without_them_does_not_pass_the_front_end(
        self, shell: str, environment: dict[str, str]
    ) -> None:
        del environment["CONDOR_ANNEX_PREFIX"]
        done = self.in_shell(shell, "condor_submit -spool 'a job.sub' ''", environment)
        assert given(done) == ["-spool", "a job.sub", ""]
