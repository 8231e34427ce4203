"""
The job owner's own keys, for a daemon that wants them: read by the hook, which runs as the owner, and by no one else.

What is read goes over the socket and nowhere else: no argument, no environment, no log has it.
"""

import _thread
import os

import relay

LONGEST_KEY = 256
REGULAR, KIND = 0o100000, 0o170000
OTHERS = 0o077


def document(files: bytes, ends: float) -> bytes:
    """
    The body of `keys` in schemas/request.json.

    Args:
        files: The access key's and the secret's, one a line; ~ is the owner's home.
        ends: Seconds since boot. A home that hangs is not waited for: half of what is left goes to it.
    """
    said: list[bytes] = []
    done = _thread.allocate_lock()
    done.acquire()

    def read() -> None:
        try:
            said.append(b'{"access": "%s", "secret": "%s"}' % tuple(map(key, paths(files))))
        except OSError as e:
            said.append(missing(f"{e.filename}: {e.strerror}"))
        except (ValueError, KeyError) as e:
            said.append(missing(str(e)))
        finally:
            done.release()

    _thread.start_new_thread(read, ())
    done.acquire(timeout=max((ends - os.times().elapsed) / 2, 0))
    return said[0] if said else missing("the home directory does not answer")


def paths(files: bytes) -> list[str]:
    """HOME is the router's, not the owner's."""
    import pwd

    home = pwd.getpwuid(os.getuid()).pw_dir
    found = [home + each[1:] if each.startswith("~/") else each for each in files.decode().split("\n")]
    if len(found) != 2:
        raise ValueError("the annex service names no two key files")
    return found


def key(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & KIND != REGULAR:
            raise ValueError(f"{path} is no file")
        if mode & OTHERS:
            raise ValueError(f"{path} may be read by others; run: chmod 600 {path}")
        text = os.read(descriptor, LONGEST_KEY + 1).strip()
    finally:
        os.close(descriptor)
    if not text or len(text) > LONGEST_KEY or not text.translate(None, b"+/=_-.~").isalnum():
        raise ValueError(f"{path} doesn't hold a key: one word, and nothing else")
    return text


def missing(why: str) -> bytes:
    return b'{"missing": "%s"}' % relay.plain(why)[:400].encode()
