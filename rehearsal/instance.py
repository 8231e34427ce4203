"""
What an instance's system does after boot: what cloud-init does and, where the image has it, HTCondor's annex service.

Usage: python3 -IS instance.py METADATA_URL. Runs user data, got by IMDSv2, as root, once. Goes on for ever afterwards:
only a power-off ends an instance. Stands by itself, inside the instance.
"""

import http.client
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

_USER_DATA = Path("/var/lib/cloud/user-data")
_SERVICE = Path("/usr/libexec/condor/condor-annex-ec2")
"""Its unit comes before condor.service and wants it, so that condor starts whatever became of it."""


def main() -> None:
    host = urlsplit(sys.argv[1]).netloc
    if _SERVICE.exists():
        subprocess.Popen(["/bin/sh", "-c", f"{_SERVICE} start; exec condor_master -f"])
    script = _user_data(host)
    if script is None:
        print("no user data", file=sys.stderr)
    else:
        _USER_DATA.parent.mkdir(parents=True, exist_ok=True)
        _USER_DATA.write_bytes(script)
        _USER_DATA.chmod(0o700)
        status = subprocess.run([_USER_DATA], check=False).returncode
        if status:
            print(f"user data ended with status {status}", file=sys.stderr)
    while True:
        time.sleep(3600)


def _user_data(host: str) -> bytes | None:
    """Only a 404 says that the launch gave none; whatever else comes, or doesn't, is asked again."""
    while True:
        _, token = _ask(host, "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})
        status, content = _ask(host, "GET", "user-data", {"X-aws-ec2-metadata-token": token.decode("latin-1").strip()})
        if status in {200, 404}:
            return content if status == 200 else None
        time.sleep(1)


def _ask(host: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and content; status 0 where nobody answers."""
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request(method, f"/latest/{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException, ValueError):
        return 0, b""
    finally:
        connection.close()


if __name__ == "__main__":
    main()
