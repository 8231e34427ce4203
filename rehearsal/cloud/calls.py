"""Which AWS call an HTTP request is, and the log of all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TypedDict
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

DEFAULT_REGION = "us-east-1"
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_REST = {"s3", "lambda"}
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")
_JSON_CODE = re.compile(rb'"__type"\s*:\s*"(?:[^"#]*#)?([^"]+)"')


@dataclass(frozen=True)
class Call:
    """One call of AWS's API, as its request says it."""

    service: str
    region: str
    action: str
    """As AWS spells it; empty where the request is none of the service's operations."""
    token: str | None
    """The client token."""
    signed: bool
    """It carries a signature, in its headers or in its URL."""
    dry_run: bool = False
    """It asks whether it would be done (EC2's DryRun)."""


def read_call(request: Request, body: bytes) -> Call:
    """
    Source:
        The signature's credential scope names service and region; the operation stands in the form (EC2, STS), in
        X-Amz-Target (SSM) or in method and path (S3, Lambda).
    """
    scope = _SCOPE.search(request.headers.get("Authorization", "")) or _SCOPE.search(
        "Credential=" + request.args.get("X-Amz-Credential", "")
    )
    old_url = "Signature" in request.args and "AWSAccessKeyId" in request.args
    service = scope["service"] if scope else "s3"
    region = scope["region"] if scope else DEFAULT_REGION
    target = request.headers.get("X-Amz-Target")
    token, dry_run = None, False
    if service in _REST:
        action = _rest_action(service, request)
    elif target:
        action = target.rpartition(".")[2]
    else:
        form = parse_qs(body.decode(errors="replace"))
        action = form.get("Action", [""])[0]
        dry_run = form.get("DryRun") == ["true"]
        token = next((form[name][0] for name in form if name.rpartition(".")[2] == "ClientToken"), None)
    return Call(service, region, action, token, signed=scope is not None or old_url, dry_run=dry_run)


def _rest_action(service: str, request: Request) -> str:
    try:
        operation, _ = get_service_router(service).match(request)
    except HTTPException:
        return ""
    return str(operation.name)


def error_code(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """The code of an answer that is an error, in whichever of AWS's protocols it is written."""
    if status < 400:
        return None
    found = _XML_CODE.search(body) or _JSON_CODE.search(body)
    return found[1].decode() if found else headers.get("x-amzn-ErrorType") or str(status)


class Logged(TypedDict):
    """A call that was answered, or was not; in JSON it looks the same."""

    n: int
    at: float
    """When it came, seconds since the epoch by the cloud's clock."""
    service: str
    region: str
    action: str
    status: int | None
    """None: the answer was lost on purpose."""
    error: str | None
    token: str | None
    dry_run: bool
    ms: float


class CallLog:
    """Every AWS call since the start or the last forget(), numbered; safe to use from any thread."""

    def __init__(self) -> None:
        self._entries: list[Logged] = []
        self._seen = 0
        self._lock = Lock()

    def add(self, call: Call, *, at: float, status: int | None, error: str | None, ms: float) -> Logged:
        with self._lock:
            self._seen += 1
            entry = Logged(
                n=self._seen,
                at=round(at, 3),
                service=call.service,
                region=call.region,
                action=call.action,
                status=status,
                error=error,
                token=call.token,
                dry_run=call.dry_run,
                ms=round(ms, 1),
            )
            self._entries.append(entry)
            return entry

    def since(self, number: int) -> list[Logged]:
        """The entries numbered above *number*, oldest first."""
        with self._lock:
            return [entry for entry in self._entries if entry["n"] > number]

    def forget(self) -> None:
        """The numbers go on, so that `since` stays meaningful."""
        with self._lock:
            self._entries.clear()
