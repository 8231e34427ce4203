"""
The instance metadata service: who asks is known by the connection, what is allowed by a token (version 2), which a
launch may leave optional (version 1).
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Request, Response

from rehearsal.cloud.clock import utc
from rehearsal.cloud.life import Life
from rehearsal.cloud.world import World

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_TTL_HEADER, _TOKEN_HEADER = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
_LONGEST_TTL_S = 21_600
_ROLE_KEYS_GOOD_FOR_S = 6 * 3600

WhoAsks = Callable[[Request], Life | None]


class Metadata:
    """A WSGI application; *who* says whose request it is, None for nobody's."""

    def __init__(self, world: World, who: WhoAsks) -> None:
        self._world = world
        self._who = who
        self._tokens: dict[str, tuple[str, float]] = {}
        """Instance and expiry by token."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        with self._world.lock:
            life = self._who(request)
            if life is None or life.instance.metadata_options.http_endpoint == "disabled":
                return _refusal(HTTPStatus.FORBIDDEN if life else HTTPStatus.NOT_FOUND)
            if "X-Forwarded-For" in request.headers:
                return _refusal(HTTPStatus.FORBIDDEN)
            if request.path == TOKEN_PATH:
                return self._token(request, life)
            if not self._admits(request, life):
                return _refusal(HTTPStatus.UNAUTHORIZED)
            if request.method not in {"GET", "HEAD"}:
                return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
            text = self._page(request.path.rstrip("/"), life)
        return Response(text, mimetype="text/plain") if text is not None else _refusal(HTTPStatus.NOT_FOUND)

    def _token(self, request: Request, life: Life) -> Response:
        if request.method != "PUT":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        ttl = request.headers.get(_TTL_HEADER, "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= _LONGEST_TTL_S:
            return _refusal(HTTPStatus.BAD_REQUEST)
        now = self._world.clock.now()
        self._tokens = {token: known for token, known in self._tokens.items() if known[1] > now}
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (life.instance.id, now + int(ttl))
        return Response(token, mimetype="text/plain", headers={_TTL_HEADER: ttl})

    def _admits(self, request: Request, life: Life) -> bool:
        if _TOKEN_HEADER not in request.headers and life.instance.metadata_options.http_tokens == "optional":
            return True
        instance, expiry = self._tokens.get(request.headers.get(_TOKEN_HEADER, ""), ("", 0.0))
        return instance == life.instance.id and self._world.clock.now() < expiry

    def _page(self, path: str, life: Life) -> str | None:
        if path == "/latest/user-data":
            return life.instance.user_data.decode() if life.instance.user_data else None
        if path == "/latest/dynamic/instance-identity/document":
            return _page_of(_identity(life))
        root, _, name = path.partition("/latest/meta-data")
        if root or path == name:
            return None
        pages = _pages(life) | _notices(life) | self._tag_pages(life) | self._role_pages(life)
        name = name.lstrip("/")
        return pages[name] if name in pages else _directory(pages, name)

    def _tag_pages(self, life: Life) -> dict[str, str]:
        if life.instance.metadata_options.instance_metadata_tags != "enabled":
            return {}
        tags = life.tags_at(self._world.clock.now())
        return {f"tags/instance/{key}": value for key, value in tags.items()}

    def _role_pages(self, life: Life) -> dict[str, str]:
        """Keys are made up: this cloud asks nobody for them."""
        if life.profile is None:
            return {}
        now = self._world.clock.now()
        about = {"InstanceProfileArn": life.profile.arn, "InstanceProfileId": life.profile.id}
        keys = {
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAREHEARSAL0000000",
            "SecretAccessKey": secrets.token_urlsafe(30),
            "Token": secrets.token_urlsafe(60),
            "Expiration": stamp(now + _ROLE_KEYS_GOOD_FOR_S),
        }
        answered = {"Code": "Success", "LastUpdated": stamp(now)}
        pages = {f"iam/security-credentials/{role.name}": _page_of(answered | keys) for role in life.profile.roles}
        return pages | {"iam/info": _page_of(answered | about)}


def stamp(at: float) -> str:
    return f"{utc(at):%Y-%m-%dT%H:%M:%SZ}"


def _page_of(values: Mapping[str, object]) -> str:
    """JSON as EC2 spaces it, for there are shell scripts that count on it."""
    return json.dumps(values, indent=2, separators=(",", " : "))


def _pages(life: Life) -> dict[str, str]:
    instance = life.instance
    zone = str(instance.availability_zone)
    public = {"public-ipv4": str(instance.public_ip)} if instance.public_ip else {}
    return public | {
        "ami-id": str(instance.image_id),
        "hostname": instance.private_dns_name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": str(instance.private_ip),
        "placement/availability-zone": zone,
        "placement/region": instance.region_name,
    }


def _notices(life: Life) -> dict[str, str]:
    """None of them is there before there is something to say."""
    found = {}
    if life.taken_at is not None:
        found["spot/instance-action"] = json.dumps({"action": "terminate", "time": stamp(life.taken_at)})
        found["spot/termination-time"] = stamp(life.taken_at)
    if life.advised_at is not None:
        found["events/recommendations/rebalance"] = json.dumps({"noticeTime": stamp(life.advised_at)})
    return found


def _identity(life: Life) -> dict[str, object]:
    instance = life.instance
    return {
        "accountId": instance.owner_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.availability_zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": f"{instance.launch_time:%Y-%m-%dT%H:%M:%SZ}",
        "privateIp": instance.private_ip,
        "region": instance.region_name,
        "version": "2017-09-30",
    }


def _directory(pages: dict[str, str], name: str) -> str | None:
    """What lies under *name*, one entry a line, or None where nothing does."""
    prefix = f"{name}/" if name else ""
    below = {page.removeprefix(prefix) for page in pages if page.startswith(prefix)}
    entries = {entry.split("/")[0] + ("/" if "/" in entry else "") for entry in below}
    return "\n".join(sorted(entries)) or None


def _refusal(status: HTTPStatus) -> Response:
    return Response(f"{status.value} - {status.phrase}\n", status=status.value, mimetype="text/plain")
