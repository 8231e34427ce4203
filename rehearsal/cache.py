"""What is costly to make and depends only on what it is made of: kept under a key, whole or not at all."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


def key(*parts: str) -> str:
    """A short name for these parts, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:16]


class Cache:
    """
    Folders named KIND-KEY, each built under another name and renamed when whole.

    A run that was killed leaves at most a folder that the next build throws away. Folders in use are held by a shared
    flock, which the kernel drops with the process; a build removes the older ones of its kind that nobody holds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mount_point = folder / "mnt"
        """Always empty: for whoever, in a mount namespace, needs a place to mount on."""
        self.mount_point.mkdir(exist_ok=True)

    @classmethod
    def of_user(cls) -> "Cache":
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "condor-annex")

    def path(self, kind: str, key: str) -> Path:
        return self._folder / f"{kind}-{key}"

    def hold(self, entry: Path) -> bool:
        """Keep *entry* from being removed for as long as this process lives; False if it is not there."""
        try:
            descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return entry.exists()  # or it was moved away before we had the lock

    @contextlib.contextmanager
    def lock(self, when_busy: Callable[[], None]) -> Iterator[None]:
        """Builds exclude one another; throws away what killed ones have left."""
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                when_busy()
                fcntl.flock(file, fcntl.LOCK_EX)
            for unfinished in self._folder.glob(".*"):
                shutil.rmtree(unfinished)
            yield

    def build(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """
        The entry, made now if there is none; call it under the lock.

        Args:
            make: Fills the empty folder it is given; anything it raises leaves no entry.
        """
        entry = self.path(kind, key)
        if entry.exists():
            return entry
        unfinished = self._folder / f".{entry.name}"
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(entry)
        for other in self._folder.glob(f"{kind}-*"):
            if other != entry:
                self._remove_unless_held(other)
        return entry

    def _remove_unless_held(self, entry: Path) -> None:
        descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            shutil.rmtree(entry.rename(entry.with_name(f".{entry.name}.old")))
        finally:
            os.close(descriptor)
