"""The rehearsal's own knobs, as JSON over HTTP beside AWS's API: what happened, what goes wrong, what time it is."""

import json
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Request, Response

from rehearsal.cloud.calls import CallLog
from rehearsal.cloud.faults import read_rule
from rehearsal.cloud.life import Lives
from rehearsal.cloud.world import World

PREFIX = "/_rehearsal"


class Control:
    """
    Args:
        about: What a caller has to know of this cloud to use it.
        tick: Does whatever is due, before the answer.
    """

    def __init__(
        self, world: World, calls: CallLog, lives: Lives, *, about: dict[str, str], tick: Callable[[], None]
    ) -> None:
        self._world = world
        self._calls = calls
        self._lives = lives
        self._tick = tick
        self._routes: dict[tuple[str, str], Callable[[Request], object]] = {
            ("", "GET"): lambda _: about,
            ("/calls", "GET"): self._list_calls,
            ("/calls", "DELETE"): lambda _: calls.forget(),
            ("/machines", "GET"): self._list_machines,
            ("/settings", "GET"): lambda _: vars(world.settings),
            ("/settings", "PUT"): self._change_settings,
            ("/faults", "GET"): lambda _: world.faults.as_json(),
            ("/faults", "POST"): self._add_fault,
            ("/faults", "DELETE"): lambda _: world.faults.clear(),
            ("/notices", "POST"): self._give_notice,
            ("/clock", "GET"): lambda _: {"now": world.clock.now()},
            ("/clock", "POST"): self._advance,
        }

    def answer(self, request: Request) -> Response:
        try:
            return _json(self._route(request)(request))
        except HTTPException as error:
            return _json({"error": error.description}, error.code or 500)

    def _route(self, request: Request) -> Callable[[Request], object]:
        path = request.path.removeprefix(PREFIX).rstrip("/")
        if (path, request.method) in self._routes:
            return self._routes[path, request.method]
        methods = [method for known, method in self._routes if known == path]
        if not methods:
            known_paths = sorted({PREFIX + known for known, _ in self._routes})
            raise NotFound(f"there is no {PREFIX}{path}; there are {', '.join(known_paths)}")
        raise MethodNotAllowed(methods, f"{path} takes {' and '.join(methods)}")

    def _list_calls(self, request: Request) -> object:
        since = request.args.get("since", "0")
        if not since.isdecimal():
            raise BadRequest("since is the number of a call")
        return self._calls.since(int(since))

    def _list_machines(self, _: Request) -> object:
        with self._world.lock:
            return [life.as_json() for life in self._lives.all()]

    def _change_settings(self, request: Request) -> object:
        with self._world.lock:
            try:
                self._world.settings = self._world.settings.changed(_posted(request))
            except ValueError as error:
                raise BadRequest(str(error)) from error
            return vars(self._world.settings)

    def _add_fault(self, request: Request) -> object:
        try:
            return {"id": self._world.faults.add(read_rule(_posted(request)))}
        except ValueError as error:
            raise BadRequest(str(error)) from error

    def _give_notice(self, request: Request) -> object:
        posted = _posted(request)
        with self._world.lock:
            life = self._lives.get(str(posted.get("instance")))
            if life is None or posted.get("kind") not in {"interruption", "rebalance"}:
                raise BadRequest("a notice names an instance, and its kind: interruption or rebalance")
            try:
                if posted["kind"] == "rebalance":
                    self._lives.advise(life)
                else:
                    self._lives.give_notice(life, after_s=self._world.settings.notice_s)
            except ValueError as error:
                raise BadRequest(str(error)) from error
            return {"taken_at": life.taken_at}

    def _advance(self, request: Request) -> object:
        seconds = _posted(request).get("advance_s")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadRequest("advance_s must be a number of seconds, 0 or more")
        self._world.clock.advance(seconds)
        self._tick()
        return {"now": self._world.clock.now()}


def _posted(request: Request) -> dict[str, Any]:
    try:
        posted = request.get_json(force=True)
    except BadRequest:
        raise BadRequest("the body must be a JSON object") from None
    if not isinstance(posted, dict):
        raise BadRequest("the body must be a JSON object")
    return posted


def _json(value: object, status: int = 200) -> Response:
    if value is None:
        return Response(status=204)
    return Response(json.dumps(value), status=status, mimetype="application/json")
