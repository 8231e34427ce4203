"""A key and a port for logging in: only when asked for, kept from then on, and taken down with the rest."""

import stat
from pathlib import Path
from typing import Any

import pytest

from annex_core.account.components import COMPONENTS, WHEN_ASKED_FOR
from tests.aws.conftest import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_nothing_is_opened_that_nobody_asked_for(run: Run, client: Any) -> None:
    run("setup", "-yes")
    assert client("ec2").describe_key_pairs()["KeyPairs"] == []
    names = [each["StackName"] for each in client("cloudformation").describe_stacks()["Stacks"]]
    assert [name for name in names if "ssh" in name] == []


def test_the_private_key_is_the_asker_s_alone_and_its_pair_is_at_aws(run: Run, client: Any, home: Path) -> None:
    status, text = run("setup", "-yes", "-ssh-key", "annexes")
    file = home / ".ssh" / "annexes.pem"
    assert (status, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    assert [each["KeyName"] for each in client("ec2").describe_key_pairs()["KeyPairs"]] == ["annexes"]
    assert "  AnnexKeyName = annexes" in text
    assert file.read_text() not in text


def test_a_key_that_is_there_is_taken_and_not_written_over(run: Run, home: Path) -> None:
    run("setup", "-yes", "-ssh-key", "annexes")
    before = (home / ".ssh" / "annexes.pem").read_text()
    status, text = run("setup", "-yes", "-ssh-key", "annexes", "-regions", "us-east-2", "eu-west-1")
    assert (status, text.count("ssh-key"), text.count("unchanged")) == (0, 2, len(COMPONENTS) + 1)
    assert (home / ".ssh" / "annexes.pem").read_text() == before


def test_another_private_key_does_not_replace_the_pair(run: Run, home: Path) -> None:
    run("setup", "-yes", "-ssh-key", "annexes")
    (home / ".ssh" / "annexes.pem").unlink()
    status, text = run("setup", "-yes", "-ssh-key", "annexes")
    assert (status, "take another name" in text) == (1, True)
    assert not (home / ".ssh" / "annexes.pem").exists()


def test_the_port_is_open_to_those_it_was_asked_for(run: Run, client: Any) -> None:
    status, text = run("setup", "-yes", "-ssh-from", "192.0.2.0/24")
    groups = text.partition("AnnexSecurityGroups = ")[2].splitlines()[0].split(", ")
    found = client("ec2").describe_security_groups(GroupIds=groups)["SecurityGroups"]
    rules = [rule for group in found for rule in group["IpPermissions"]]
    assert (status, len(groups)) == (0, 2)
    assert [(rule["FromPort"], rule["ToPort"], rule["IpRanges"][0]["CidrIp"]) for rule in rules] == [
        (22, 22, "192.0.2.0/24")
    ]


def test_what_was_asked_for_once_is_kept_checked_and_taken_down(run: Run, client: Any) -> None:
    run("setup", "-yes", "-ssh-key", "annexes", "-ssh-from", "192.0.2.0/24")
    status, text = run("setup", "-yes")
    assert (status, text.count("unchanged")) == (0, len(COMPONENTS) + len(WHEN_ASKED_FOR))
    status, text = run("check-setup")
    assert (status, "the key pair annexes is there" in text, "lets in tcp 22 from 192.0.2.0/24" in text) == (
        0,
        True,
        True,
    )
    client("ec2").delete_key_pair(KeyName="annexes")
    assert "BAD  ssh-key: there is no key pair annexes" in run("check-setup")[1]
    assert run("teardown", "-yes")[0] == 0
    assert client("ec2").describe_key_pairs()["KeyPairs"] == []


def test_a_dry_run_writes_no_key(run: Run, home: Path) -> None:
    status, text = run("setup", "-dry-run", "-ssh-key", "annexes")
    assert (status, "annexes.pem would be made" in text, "ssh-key would be made" in text) == (0, True, True)
    assert not (home / ".ssh").exists()


@pytest.mark.parametrize(
    "wrong",
    [["-ssh-from", "0.0.0.0/0"], ["-ssh-from", "192.0.2.1/24"], ["-ssh-from", "home"], ["-ssh-key", "../x"]],
)
def test_a_key_or_a_port_that_makes_no_sense_is_refused(run: Run, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("setup", "-yes", *wrong)
    assert end.value.code == 2
