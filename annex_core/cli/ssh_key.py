"""The key pair that setup -ssh-key makes: here, so that its private half travels nowhere."""

import os
import subprocess
import tempfile
from pathlib import Path

from annex_core.errors import Refused

_SECONDS = 30


def key_file(name: str) -> Path:
    return Path.home() / ".ssh" / f"{name}.pem"


def public_key(name: str) -> str:
    """
    The public half of the key in ~/.ssh/NAME.pem, which is made where there is none, and never written over.

    Raises:
        Refused: There is no ssh-keygen, or it can't read or make the key.
    """
    file = key_file(name)
    if not file.exists():
        _make(file)
    kind, material, *_ = _keygen("-y", "-f", str(file)).split()
    return f"{kind} {material}"


def _make(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".annex-") as folder:
            made = Path(folder) / "key"
            _keygen("-q", "-t", "ed25519", "-N", "", "-C", file.stem, "-f", str(made))
            made.chmod(0o600)
            os.link(made, file)  # fails where somebody made one meanwhile
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from error


def _keygen(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["ssh-keygen", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Refused("there is no ssh-keygen here; install openssh-client, or leave -ssh-key out") from None
    except subprocess.TimeoutExpired:
        raise Refused("ssh-keygen does not come to an end") from None
    if done.returncode:
        raise Refused(f"ssh-keygen: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}")
    return done.stdout
