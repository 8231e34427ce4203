"""The endpoint's HTTP: control requests apart, each AWS call is logged, faulted, checked and given to moto."""

import json
import logging
import select
import socket
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from io import BytesIO
from threading import Event
from typing import Any
from xml.sax.saxutils import escape

from moto.core.request import Request
from moto.s3.models import s3_backends
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from rehearsal.cloud import price_list
from rehearsal.cloud.calls import Call, CallLog, error_code, read_call
from rehearsal.cloud.control import PREFIX, Control
from rehearsal.cloud.faults import CallFault
from rehearsal.cloud.world import World

log = logging.getLogger(__name__)

_JSON = {"pricing", "ssm"}
"""Services whose errors we make in AWS's JSON."""

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Wire:
    """
    A WSGI application.

    Args:
        moto: Answers AWS calls; called with World.lock held.
        prepare: Called with a region before its first call, World.lock held.
        stopping: Set when the cloud stops: whoever waits here gives up.
    """

    def __init__(
        self,
        world: World,
        moto: WsgiApp,
        *,
        calls: CallLog,
        control: Control,
        prepare: Callable[[str], None],
        stopping: Event,
    ) -> None:
        self._world = world
        self._moto = moto
        self._calls = calls
        self._control = control
        self._prepare = prepare
        self._stopping = stopping

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        if request.path == PREFIX or request.path.startswith(PREFIX + "/"):
            return self._control.answer(request)(environ, start_response)
        body = request.get_data()
        environ["wsgi.input"] = BytesIO(body)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._world.account
        call = read_call(request, body)
        started, at = time.monotonic(), self._world.clock.now()
        fault = self._world.faults.take(call.action, dry_run=call.dry_run)
        response = self._faulted(call, fault, request, environ)
        lost = fault is not None and fault.then == "lose"
        status = None if lost else response.status_code
        error = error_code(response.status_code, dict(response.headers), response.get_data())
        entry = self._calls.add(call, at=at, status=status, error=error, ms=(time.monotonic() - started) * 1000)
        log.info("%s", json.dumps(entry))
        if lost:
            self._never_answer(environ)
        return response(environ, start_response)

    def _faulted(self, call: Call, fault: CallFault | None, request: Request, environ: dict[str, Any]) -> Response:
        if fault and fault.delay_s:
            self._stopping.wait(fault.delay_s)
        if fault and fault.error:
            return aws_error(call, fault.status, fault.error, "This was ordered by a fault of the rehearsal.")
        if call.service == "s3" and (refusal := self._unsigned(call, request) or self._anothers(call, request)):
            return refusal
        if call.service == "pricing":
            return price_list.answer(call.action, request.get_data())
        return self._acted(call, environ)

    def _acted(self, call: Call, environ: dict[str, Any]) -> Response:
        try:
            with self._world.lock:
                self._prepare(call.region)
                answer, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        except Exception as error:
            log.exception("%s %s failed", call.service, call.action)
            return aws_error(call, 500, "InternalError", f"{type(error).__name__}: {error}")
        return Response(b"".join(answer), status=status, headers=headers)

    def _unsigned(self, call: Call, request: Request) -> Response | None:
        """S3 without a signature, or with one in the URL that has expired; moto lets both pass."""
        if not call.signed:
            return aws_error(call, 403, "AccessDenied", "Access Denied")
        try:
            expiry = _expiry(request)
        except (KeyError, ValueError):
            return aws_error(call, 400, "AuthorizationQueryParametersError", "The signature in the URL is malformed.")
        if expiry is not None and self._world.clock.now() > expiry:
            return aws_error(call, 403, "AccessDenied", "Request has expired")
        return None

    def _anothers(self, call: Call, request: Request) -> Response | None:
        """A bucket of another account than the caller expects; moto doesn't look."""
        expected = request.headers.get("x-amz-expected-bucket-owner")
        _, owner = s3_backends.bucket_accounts.get(request.path.split("/")[1], ("", expected))
        return None if expected in {None, owner} else aws_error(call, 403, "AccessDenied", "Access Denied")

    def _never_answer(self, environ: dict[str, Any]) -> None:
        """Hold the connection until the caller hangs up or the cloud stops, then break it."""
        connection: socket.socket = environ["werkzeug.socket"]
        while not self._stopping.is_set():
            if select.select([connection], [], [], 0.2)[0]:
                break
        connection.shutdown(socket.SHUT_RDWR)


def _expiry(request: Request) -> float | None:
    """When the URL's own signature ends, seconds since the epoch; None where the signature is not in the URL."""
    if "X-Amz-Signature" in request.args:
        signed = datetime.strptime(request.args["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
        return signed.timestamp() + int(request.args["X-Amz-Expires"])
    if "Expires" in request.args:
        return float(request.args["Expires"])
    return None


def aws_error(call: Call, status: int, code: str, message: str) -> Response:
    """An error in the protocol of the call's service."""
    if call.service in _JSON:
        text = json.dumps({"__type": code, "message": message})
        return Response(text, status=status, content_type="application/x-amz-json-1.1")
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if call.service == "ec2":
        error = f"<Response><Errors>{error}</Errors><RequestID>rehearsal</RequestID></Response>"
    elif call.service != "s3":
        error = f"<ErrorResponse>{error}<RequestId>rehearsal</RequestId></ErrorResponse>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{error}', status=status, content_type="text/xml")
