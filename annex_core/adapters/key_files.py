"""The two files in which a user keeps an AWS access key and its secret, read as that user."""

import os
import stat
from pathlib import Path

from annex_core.errors import Refused
from annex_core.model.keys import Keys

_OTHERS = 0o077
_LONGEST_KEY = 256


def read_key_files(access: Path, secret: Path) -> Keys:
    """
    The two files of HTCondor's EC2 users: one holds the access key, the other the secret, and nothing else.

    Raises:
        Refused: One can't be read, others may read it, or it holds no key; the sentence has no word of what it holds.
    """
    return Keys(_key(access), _key(secret))


def _key(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
        with open(descriptor, encoding="ascii") as file:  # noqa: PTH123 - by its descriptor, so that it is looked at once
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise Refused(f"{path} is no file")
            if mode & _OTHERS:
                raise Refused(f"{path} may be read by others; run: chmod 600 {path}")
            text = file.read(_LONGEST_KEY + 1).strip()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _LONGEST_KEY or len(text.split()) != 1:
        raise Refused(f"{path} doesn't hold a key: one word, and nothing else")
    return text
