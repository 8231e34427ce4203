"""A hook that is asked for its owner's keys: it reads them as the owner, hands them over, and shows them nowhere."""

import json
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from annex_core.adapters.requests import read_keys
from annex_core.adapters.server import Call, Server
from annex_core.adapters.wire import KeysWanted
from annex_core.model.keys import Keys
from tests.contract.test_hooks import HOOKS, JOB, TRANSLATE, run, status_of

HANDED = Keys("AKIAALICE", "hush+/secret=")
ANSWER = JOB.replace(b'"old"', b'"on its way"')


class Daemon:
    """It asks each hook once for the keys in these files, and keeps what it hears."""

    def __init__(self, files: tuple[str, str]) -> None:
        self.files = files
        self.heard: list[Call] = []

    def __call__(self, call: Call) -> bytes:
        if call.verb == "wake":
            return b""
        self.heard.append(call)
        if call.verb == "keys":
            return json.dumps({"lacking": None}).encode()
        if len(self.heard) == 1:
            raise KeysWanted(self.files)
        return ANSWER


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    access, secret = tmp_path / "publicKeyFile", tmp_path / "privateKeyFile"
    access.write_text(f"{HANDED.access}\n")
    secret.write_text(f"{HANDED.secret}\n")
    for each in (access, secret):
        each.chmod(0o600)
    return access, secret


def translated(tmp_path: Path, files: tuple[object, object]) -> tuple["subprocess.CompletedProcess[bytes]", Daemon]:
    daemon = Daemon((str(files[0]), str(files[1])))
    path = tmp_path / "annexd.sock"
    with Server(path, daemon):
        done = run("translate", TRANSLATE, path, ANNEX_HOOK_DEADLINE="5")
    return done, daemon


def test_it_hands_them_over_and_asks_again(tmp_path: Path, files: tuple[Path, Path]) -> None:
    done, daemon = translated(tmp_path, files)
    assert (done.returncode, done.stdout, done.stderr) == (0, ANSWER, b"")
    assert [call.verb for call in daemon.heard] == ["translate", "keys", "translate"]
    assert read_keys(daemon.heard[1].body) == HANDED
    assert daemon.heard[0].body == daemon.heard[2].body == TRANSLATE


def readable_by_others(_: Path, secret: Path) -> None:
    secret.chmod(0o640)


def absent(access: Path, _: Path) -> None:
    access.unlink()


def empty(_: Path, secret: Path) -> None:
    secret.write_text("\n")


def prose(_: Path, secret: Path) -> None:
    secret.write_text("hush, said she\n")


def quoted(_: Path, secret: Path) -> None:
    secret.write_text('hush", "access": "x')


def endless(_: Path, secret: Path) -> None:
    secret.write_text("hush" * 100)


def directory(access: Path, _: Path) -> None:
    access.unlink()
    access.mkdir(mode=0o700)


def pipe(access: Path, _: Path) -> None:
    access.unlink()
    os.mkfifo(access, 0o600)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (readable_by_others, "privateKeyFile may be read by others; run: chmod 600 "),
        (absent, "publicKeyFile: No such file or directory"),
        (empty, "privateKeyFile doesn't hold a key: one word, and nothing else"),
        (prose, "privateKeyFile doesn't hold a key"),
        (quoted, "privateKeyFile doesn't hold a key"),
        (endless, "privateKeyFile doesn't hold a key"),
        (directory, "publicKeyFile is no file"),
        (pipe, "publicKeyFile is no file"),
    ],
)
def test_why_they_cannot_be_had_is_told_and_nothing_of_what_is_there(
    tmp_path: Path, files: tuple[Path, Path], spoil: Callable[[Path, Path], None], why: str
) -> None:
    spoil(*files)
    done, daemon = translated(tmp_path, files)
    assert (done.returncode, done.stdout, done.stderr) == (0, ANSWER, b"")
    told = read_keys(daemon.heard[1].body)
    assert isinstance(told, str)
    assert why in told
    assert "hush" not in told


def test_a_tilde_is_the_home_of_the_user_that_it_runs_as_whatever_the_router_s_is(tmp_path: Path) -> None:
    done, daemon = translated(tmp_path, ("~/.condor/no-such-file", "~/x"))
    told = read_keys(daemon.heard[1].body)
    assert isinstance(told, str)
    assert told.startswith(f"{pwd.getpwuid(os.getuid()).pw_dir}/.condor/no-such-file: ")
    assert done.stdout == ANSWER


def test_a_home_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """The other end of a pipe hangs as a home directory does whose server is gone."""
    program = """
import os, sys
sys.path.insert(0, sys.argv[1])
import owner_keys
owner_keys.paths = lambda files: os.read(os.pipe()[0], 1)
os.write(1, owner_keys.document(b"", os.times().elapsed + 1))
os._exit(0)
"""
    keys = subprocess.run(
        ["/usr/bin/python3", "-ISc", program, str(HOOKS)], capture_output=True, timeout=20, check=True
    )
    assert read_keys(keys.stdout) == "the home directory does not answer"


def test_a_daemon_that_asks_twice_gets_them_once(tmp_path: Path, files: tuple[Path, Path]) -> None:
    def insists(call: Call) -> bytes:
        if call.verb in {"wake", "keys"}:
            return b"{}"
        raise KeysWanted((str(files[0]), str(files[1])))

    with Server(tmp_path / "annexd.sock", insists):
        done = run("translate", TRANSLATE, tmp_path / "annexd.sock", ANNEX_HOOK_DEADLINE="5")
    assert done.returncode == 0
    assert "gave an unusable answer" in status_of(done.stdout)
    assert HANDED.secret.encode() not in done.stdout + done.stderr


def test_nothing_of_them_is_in_its_arguments_or_its_environment(tmp_path: Path, files: tuple[Path, Path]) -> None:
    shown: list[bytes] = []

    class Looking(Daemon):
        def __call__(self, call: Call) -> bytes:
            if call.verb == "keys":
                shown.extend(Path(f"/proc/{call.peer.pid}/{each}").read_bytes() for each in ("cmdline", "environ"))
            return super().__call__(call)

    with Server(tmp_path / "annexd.sock", Looking((str(files[0]), str(files[1])))):
        run("translate", TRANSLATE, tmp_path / "annexd.sock", ANNEX_HOOK_DEADLINE="5")
    assert b"annex_translate" in shown[0]
    assert not any(each.encode() in part for part in shown for each in (HANDED.access, HANDED.secret))
