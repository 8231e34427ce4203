"""What is in the cache is whole, and nobody's entry is taken away from under him."""

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.cache import Cache, key


def fill(entry: Path) -> None:
    (entry / "file").write_text("text")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"lock", "mnt"}


def test_keys_tell_parts_apart_that_read_the_same_when_joined() -> None:
    assert key("ab", "c") != key("a", "bc")


def test_an_entry_is_made_once(cache: Cache) -> None:
    cache.build("kind", "1", fill)
    assert (cache.build("kind", "1", lambda _: pytest.fail("made again")) / "file").read_text() == "text"


def test_a_build_that_fails_leaves_no_entry(cache: Cache) -> None:
    def fail(entry: Path) -> None:
        fill(entry)
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the bare error that fail raises
        cache.build("kind", "1", fail)
    assert not cache.hold(cache.path("kind", "1"))


def test_what_a_killed_build_left_is_thrown_away_by_the_next(cache: Cache, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from rehearsal.cache import Cache\n"
        "def make(entry): (entry / 'half').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "with cache.lock(print): cache.build('kind', '1', make)"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode < 0
    with cache.lock(lambda: pytest.fail("still locked")):
        cache.build("kind", "1", fill)
    assert entries(tmp_path) == {"kind-1"}
    assert {path.name for path in cache.path("kind", "1").iterdir()} == {"file"}


def test_a_new_entry_replaces_the_older_ones_of_its_kind_only(cache: Cache, tmp_path: Path) -> None:
    for kind, name in (("kind", "1"), ("other", "1"), ("kind", "2")):
        cache.build(kind, name, fill)
    assert entries(tmp_path) == {"kind-2", "other-1"}


def test_an_entry_in_use_outlives_its_replacement(cache: Cache, tmp_path: Path) -> None:
    assert cache.hold(cache.build("kind", "1", fill))
    cache.build("kind", "2", fill)
    assert entries(tmp_path) == {"kind-1", "kind-2"}
