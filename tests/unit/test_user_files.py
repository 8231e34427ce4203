"""Files named on a command line: what is read, and what is refused with a clear word."""

import json
import os
from pathlib import Path

import pytest

from annex_core.adapters.user_files import UserFiles
from annex_core.errors import BadRequest
from tests.unit.fleet_files import with_specifications


def why_not(read: str, path: Path) -> str:
    with pytest.raises(BadRequest) as refused:
        getattr(UserFiles(), read)(str(path))
    return str(refused.value)


def test_a_fleet_file_is_read_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(with_specifications()))

    assert UserFiles().fleet(str(file)) == with_specifications()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "it holds a list"),
        (b'"x"', "it holds a value"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"SpotPrice": NaN}', "NaN is no number"),
        (b'{"TargetCapacity": Infinity}', "Infinity is no number"),
        (b'{"Type": "request", "Type": "maintain"}', "Type stands there twice"),
        (b"[" * 100000, "nested too deeply"),
        (b'{"x": "' + b"y" * (10 << 20) + b'"}', "more than 1048576 bytes"),
    ],
    ids=["empty", "blank", "list", "text", "cut", "binary", "nan", "infinity", "twice", "deep", "large"],
)
def test_what_is_no_fleet_file_is_refused_by_name(tmp_path: Path, content: bytes, named: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)

    said = why_not("fleet", file)

    assert named in said
    assert str(file) in said


@pytest.mark.parametrize("read", ["fleet", "text"])
def test_what_is_no_file_is_refused(tmp_path: Path, read: str) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "a directory" in why_not(read, tmp_path)
    assert "No such file" in why_not(read, tmp_path / "none")
    assert "not a plain file" in why_not(read, tmp_path / "pipe")


def test_user_data_is_text_that_ec2_takes(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in why_not("text", file)

    file.write_bytes(b"x" * 16385)
    assert "16384" in why_not("text", file)


def test_the_files_of_a_directory_are_sent_but_for_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "10-site.config").write_text("A = 1\n")
    (tmp_path / ".swp").write_text("x")

    assert UserFiles().config_files(str(tmp_path)) == {"10-site.config": "QSA9IDEK"}


def test_one_file_is_sent_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A = 1\n")

    assert UserFiles().config_files(str(tmp_path / "a")) == {"a": "QSA9IDEK"}


def test_a_directory_that_can_not_be_sent_is_refused(tmp_path: Path) -> None:
    assert "no file in it" in why_not("config_files", tmp_path)

    (tmp_path / "sub").mkdir()
    assert f"{tmp_path}/sub: a directory" in why_not("config_files", tmp_path)
    (tmp_path / "sub").rmdir()

    (tmp_path / "a b").write_text("")
    assert "name has letters" in why_not("config_files", tmp_path)
    (tmp_path / "a b").unlink()

    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * 600000)
    assert "together" in why_not("config_files", tmp_path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert "No such file" in why_not("config_files", tmp_path)
