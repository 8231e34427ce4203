"""
What the job router's four hooks do: annex_translate and its kin, beside this file, name their verb and no more.

A hook is a messenger. It hands what the router wrote on its standard input to condor_annexd and prints the daemon's
answer; it runs as the job's owner, holds no secret and decides nothing. The router starts a hook when it comes by
the job, and writes to it only when it has gone through its whole queue, so translate first wakes the daemon, which can
see in the schedd what has been routed by then. What the router makes of a hook's end:

    hook       its input             output, exit 0         no output, exit 0     nonzero exit
    translate  route, ------, job    becomes the job        the job is wedged     job tried again at the next poll
    update     routed copy           is merged into it      nothing changes       nothing happens at this poll
    finalize   job, ------, copy     is merged into job     the job is finished   the job is run *again*
    cleanup    routed copy           is ignored             all is tidied up      tried again for ever

So translate always prints a job ad, the job's own with another AnnexStatus when the daemon gives none; the others
print nothing then; and only a translate whose input is no job ad exits with anything but 0. The router waits for a
hook without end, hence a deadline of our own. A hook killed by a signal counts as exit 0 without output, so the
blocked signals that the router hands down stay blocked.

Every module imported is paid for once a job: hooks start from source, without site-packages.

Source:
    JobRouterHookMgr.cpp of HTCondor; docs/architecture.md, "The wire".
"""

import os
import socket
import sys

SOCKET = "/run/condor/annexd.sock"
DEADLINE_S = 5.0
LONGEST_DEADLINE_S = 60.0
LARGEST_FRAME = 8 << 20
GREETING = b"annex/1 "
SEPARATOR = b"\n------\n"
LONGEST_SENTENCE = 500
NOT_NOW = "This job's annex can't be asked for right now: {}. The job stays in the queue and is looked at again."
UNUSABLE = NOT_NOW.format("the annex service gave an unusable answer")


class NoAnswer(Exception):  # noqa: N818 - it is the daemon that has none
    """str() is a sentence for the job's owner; *detail* goes to the router's log."""

    def __init__(self, sentence: str, detail: object = "") -> None:
        super().__init__(sentence)
        self.detail = detail


def main(verb: str) -> int:
    """The hook's exit status."""
    try:
        relay(verb)
    except Exception as e:  # noqa: BLE001 - a traceback would exit with 1, and run a finished job again
        complain(str(e) or repr(e))
        return 1 if verb == "translate" else 0
    return 0


def relay(verb: str) -> None:
    if verb == "translate":
        wake()
    asked = read_input()
    job = asked.partition(SEPARATOR)[2] if verb == "translate" else b""
    if verb == "translate" and job_id(job) is None:
        raise ValueError("the input holds no job ad")
    try:
        answer = ask(verb, asked)
        check(answer, about=job)
    except NoAnswer as e:
        complain(f"{e} {e.detail}")
        answer = with_status(job, str(e)) if job else b""
    print_output(answer)


def wake() -> None:
    """A word that nobody waits for: nothing is lost with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        try:
            connection.connect(socket_path())
            connection.send(frame(GREETING + b"wake\n"))
        except OSError:
            pass  # what ask() meets then is told


def ask(verb: str, body: bytes) -> bytes:
    """What the daemon answers, all within the deadline; where it wants the owner's keys first, it gets them."""
    deadline = seconds(os.environ.get("ANNEX_HOOK_DEADLINE", ""))
    ends = os.times().elapsed + deadline  # counts from boot, as time.monotonic() does
    path = socket_path()
    payload = GREETING + verb.encode() + b"\n" + body
    if len(payload) > LARGEST_FRAME:
        raise NoAnswer(NOT_NOW.format("its job ad is larger than 8 MiB"))
    try:
        header, _, text = exchange(path, payload, ends).partition(b"\n")
        if header == GREETING + b"keys":
            import owner_keys  # few are asked

            exchange(path, GREETING + b"keys\n" + owner_keys.document(text, ends), ends)
            header, _, text = exchange(path, payload, ends).partition(b"\n")
    except TimeoutError:
        raise NoAnswer(NOT_NOW.format(f"the annex service did not answer within {deadline:g} s"), path) from None
    except OSError as e:
        raise NoAnswer(NOT_NOW.format("the annex service does not answer"), f"{path}: {e}") from None
    if header == GREETING + b"ok":
        return text
    if header == GREETING + b"refused":
        raise NoAnswer(text.decode("utf-8", "replace") or "The annex service refused this job and gave no reason.")
    raise NoAnswer(UNUSABLE, f"it began with {header[:40]!r}")


def exchange(path: str, payload: bytes, ends: float) -> bytes:
    """One frame there and one back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(left(ends))
        connection.connect(path)
        connection.sendall(frame(payload))
        size = int.from_bytes(receive(connection, 4, ends), "big")
        if not 0 < size <= LARGEST_FRAME:
            raise NoAnswer(UNUSABLE, f"a frame of {size} bytes")
        return receive(connection, size, ends)


def socket_path() -> str:
    return os.environ.get("ANNEXD_SOCKET") or SOCKET


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return DEADLINE_S
    return found if 0 < found <= LONGEST_DEADLINE_S else DEADLINE_S


def left(ends: float) -> float:
    found = ends - os.times().elapsed
    if found <= 0:
        raise TimeoutError
    return found


def receive(connection: socket.socket, size: int, ends: float) -> bytes:
    """Exactly *size* bytes."""
    parts = []
    while size:
        connection.settimeout(left(ends))
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise ConnectionResetError("closed in the middle of an answer")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def check(answer: bytes, about: bytes) -> None:
    """A line that is no attribute makes the router drop the job or run it again; another job's ad is worse."""
    for line in answer.split(b"\n"):
        name, _, value = line.partition(b"=")
        if line.strip() and not (name.strip().replace(b"_", b"a").isalnum() and value.strip()):
            raise NoAnswer(UNUSABLE, f"a line of it is no attribute: {line[:40]!r}")
    if about and job_id(answer) != job_id(about):
        raise NoAnswer(UNUSABLE, "it is not about this job")


def job_id(ad: bytes) -> tuple[bytes, bytes] | None:
    """ClusterId and ProcId as they stand in the ad, or None where it is no job ad."""
    found = {}
    for line in ad.split(b"\n"):
        name, _, value = line.partition(b"=")
        found[name.strip().lower()] = value.strip()
    cluster, proc = found.get(b"clusterid"), found.get(b"procid")
    return (cluster, proc) if cluster and proc else None


def with_status(ad: bytes, sentence: str) -> bytes:
    """The ad with this AnnexStatus and no other."""
    kept = [line for line in ad.split(b"\n") if line.partition(b"=")[0].strip().lower() != b"annexstatus" and line]
    return b"\n".join([*kept, b'AnnexStatus = "%s"' % plain(sentence)[:LONGEST_SENTENCE].encode(), b""])


def plain(sentence: str) -> str:
    """Without quotes, backslashes and line ends, which ClassAds and JSON escape."""
    return "".join(c if c.isprintable() else " " for c in sentence).replace('"', "'").replace("\\", "/")


def read_input() -> bytes:
    parts = []
    while part := os.read(0, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def print_output(text: bytes) -> None:
    while text:
        text = text[os.write(1, text) :]


def complain(sentence: str) -> None:
    """One line; the router logs it."""
    os.write(2, " ".join(f"{sys.argv[0]}: {sentence}".split()).encode(errors="replace") + b"\n")
