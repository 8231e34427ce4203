"""Command lines of the withdrawn condor_annex, and of the annex daemon's client before it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from annex_core.errors import BadRequest
from annex_core.fleet_file.tagging import bad_tag
from annex_core.legacy.asked import Asked, Files, hours, listed, whole
from annex_core.legacy.knobs import IDLE_S, LEASE_S, Knobs
from annex_core.legacy.reading import Reading
from annex_core.model.names import misnamed

_AWS_URL = re.compile(
    r"https://(?:ec2|events|lambda|s3|cloudformation)[.-]([a-z]{2,4}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?/?"
)
_URLS = ("aws-ec2-url", "aws-events-url", "aws-lambda-url", "aws-s3-url", "service-url", "events-url", "lambda-url",
         "s3-url")  # fmt: skip
_KEYS = ("aws-public-key-file", "aws-access-key-file", "aws-secret-key-file", "aws-private-key-file",
         "public-key-file", "access-key-file", "secret-key-file", "private-key-file")  # fmt: skip
_USER_DATA = ("aws-user-data", "user-data")
_USER_DATA_FILE = ("aws-user-data-file", "user-data-file")
_DEFAULT = ("aws-default-user-data", "default-user-data")
_DEFAULT_FILE = ("aws-default-user-data-file", "default-user-data-file")
_BOTH = "-aws-access-key-file and -aws-secret-key-file: say both, once"
_FLEET_FILE = ("aws-spot-fleet-config-file", "sfr-config-file")
_SPOT = ("aws-spot-fleet", "sfr")
_ON_DEMAND = ("aws-on-demand", "odi")
_OF_ON_DEMAND: Mapping[str, tuple[str, str, str]] = {
    "instance_types": ("aws-on-demand-instance-type", "odi-instance-type", "ANNEX_DEFAULT_ODI_INSTANCE_TYPE"),
    "image": ("aws-on-demand-ami-id", "odi-image-id", "ANNEX_DEFAULT_ODI_IMAGE_ID"),
    "security_groups": (
        "aws-on-demand-security-group-ids",
        "odi-security-group-ids",
        "ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS",
    ),
    "key_name": ("aws-on-demand-key-name", "odi-key-name", "ANNEX_DEFAULT_ODI_KEY_NAME"),
    "instance_profile": (
        "aws-on-demand-instance-profile-arn",
        "odi-instance-profile-arn",
        "ANNEX_DEFAULT_ODI_INSTANCE_PROFILE_ARN",
    ),
}
"""Field of a create: its option, the annex daemon's, and the knob."""


def asked(reading: Reading, knobs: Knobs, files: Files) -> Asked:
    """
    Raises:
        BadRequest: Of a command line that makes no sense, or that asks for what is no more.
    """
    for option in reading.options.values():
        if option.refused:
            raise BadRequest(f"{option}: {option.now.removeprefix('Refused: ')}")
    yes, debug = reading.has("yes"), reading.has("debug")
    if reading.has("help"):
        return Asked("help")
    if reading.has("setup", "check-setup"):
        return _account(reading, knobs, yes)
    return replace(_of_annexes(reading, knobs, files, yes=yes, debug=debug), keys=_key_files(reading))


def _of_annexes(reading: Reading, knobs: Knobs, files: Files, *, yes: bool, debug: bool) -> Asked:
    name = reading.value("annex-name")
    if reading.command or reading.has("status"):
        return _looking(reading, name)
    if reading.has("classads"):
        raise BadRequest("-classads: it goes with -status")
    if name is None:
        raise BadRequest("say which annex: -annex-name NAME")
    if wrong := misnamed(name):
        raise BadRequest(wrong)
    if reading.has("slots", "count") or reading.bare or _config_names(reading):
        return _create(reading, name, knobs, files, yes=yes, debug=debug)
    return _extend(reading, name, debug=debug)


def region(reading: Reading, knobs: Knobs) -> str | None:
    """The region asked for, by its name or by an endpoint of AWS's own; None: the route's."""
    found = {f"-{name}": _region_of(f"-{name}", reading.value(name) or "") for name in _URLS if reading.has(name)}
    if (named := reading.value("aws-region")) is not None:
        found["-aws-region"] = named
    if len(set(found.values())) > 1:
        raise BadRequest(" and ".join(f"{option} ({where})" for option, where in found.items()) + " don't agree")
    if found:
        return next(iter(found.values()))
    if knob := knobs.get("ANNEX_DEFAULT_AWS_REGION", None):
        return knob.value
    url = knobs.get("ANNEX_DEFAULT_EC2_URL", None)
    return _region_of(str(url), url.value) if url else None


def _region_of(what: str, url: str) -> str:
    found = _AWS_URL.fullmatch(url)
    if not found:
        raise BadRequest(f"{what} {url}: an endpoint that is not AWS's own stands in a route, as AnnexEndpoint")
    return found[1]


def _create(reading: Reading, name: str, knobs: Knobs, files: Files, *, yes: bool, debug: bool) -> Asked:
    where = region(reading, knobs)
    spot = _market(reading)
    body: dict[str, Any] = {"name": name, "market": "spot" if spot else "on-demand"}
    notes: list[str] = []
    if where:
        body["region"] = where
    config = _fleet_file(reading, knobs, where, spot=spot)
    if config:
        body["fleet_config"] = files.fleet(config)
    if spot:
        body["fleet_api"] = "spot-fleet"
    count = reading.value("slots", "count")
    if count is not None:
        body["slots" if spot else "instances"] = whole(
            "-slots" if reading.has("slots") else "-count", count, most=1000000 if spot else 10000
        )
    body["lifetime_s"] = _lease(reading) or knobs.seconds("ANNEX_DEFAULT_LEASE_DURATION", LEASE_S)
    idle = reading.value("idle")
    body["idle_s"] = hours("-idle", idle) if idle else knobs.seconds("ANNEX_DEFAULT_UNCLAIMED_TIMEOUT", IDLE_S)
    body |= _owner(reading)
    body |= _tags(reading)
    body |= dict(_on_demand(reading, knobs, where, notes, spot=spot))
    body |= _user_data(reading, files, with_config=bool(config))
    if directory := reading.value("config-dir"):
        body["config_files"] = dict(files.config_files(directory))
    return Asked("create", body, tuple(notes), yes=yes, debug=debug)


def _market(reading: Reading) -> bool:
    """Whether spot is meant; -count alone means on-demand, as it did."""
    spot = [name for name in (*_SPOT, *_FLEET_FILE, "slots") if reading.has(name)]
    file = bool(reading.bare)
    on_demand = [name for name in _ON_DEMAND if reading.has(name)]
    if reading.has("count") and not file and not reading.has(*_FLEET_FILE) and not reading.has(*_SPOT):
        on_demand.append("count")
    if on_demand and (spot or file):
        raise BadRequest(f"-{on_demand[0]} is on-demand, and {f'-{spot[0]}' if spot else reading.bare[0]} is spot")
    if reading.has("count") and reading.has("slots"):
        raise BadRequest("-count and -slots: say one of them")
    if reading.has("count") and (reading.has(*_SPOT) or (reading.has("aws-spot-fleet-config-file") and not file)):
        raise BadRequest("-count counts on-demand machines; say -slots for a Spot Fleet")
    return bool(spot or file)


def _fleet_file(reading: Reading, knobs: Knobs, where: str | None, *, spot: bool) -> str | None:
    named = [value for value in (reading.value(*_FLEET_FILE), *reading.bare) if value]
    if len(named) > 1:
        raise BadRequest(f"{named[1]}: one fleet configuration is enough, and {named[0]} is one")
    if named or not spot:
        return named[0] if named else None
    for name in ("ANNEX_DEFAULT_SFR_CONFIG_FILE", "ANNEX_DEFAULT_SPOT_FLEET_CONFIG_FILE"):
        if knob := knobs.get(name, where):
            return knob.value
    return None


def _lease(reading: Reading) -> int | None:
    """Seconds."""
    if reading.has("duration") and reading.has("lease-duration"):
        raise BadRequest("-duration and -lease-duration: say one of them")
    if (text := reading.value("duration")) is not None:
        return hours("-duration", text)
    if (text := reading.value("lease-duration")) is not None:
        return whole("-lease-duration", text, most=31536000)
    return None


def _owner(reading: Reading) -> dict[str, Any]:
    named = reading.value("owner")
    if reading.has("no-owner"):
        if named is not None:
            raise BadRequest("-owner and -no-owner: say one of them")
        return {"any_owner": True}
    if named is None:
        return {}
    owners = listed(named)
    if len(owners) != 1:
        raise BadRequest(f"-owner {named}: an annex has one owner; make one for each")
    return {"owner": owners[0]}


def _tags(reading: Reading) -> dict[str, Any]:
    tags: dict[str, str] = {}
    for key, value in reading.said.get("tag", ()):
        if wrong := bad_tag(key, value):
            raise BadRequest(f"-tag: {wrong}")
        if key in tags:
            raise BadRequest(f"-tag {key} is given twice")
        tags[key] = value
    return {"tags": tags} if tags else {}


def _on_demand(
    reading: Reading, knobs: Knobs, where: str | None, notes: list[str], *, spot: bool
) -> Iterator[tuple[str, Any]]:
    for name, (option, older, knob_name) in _OF_ON_DEMAND.items():
        given = reading.value(option, older)
        if given is not None and spot:
            raise BadRequest(
                f"-{option if reading.has(option) else older}: it goes with on-demand machines, and -count"
            )
        if given is None:
            knob = None if spot else knobs.get(knob_name, where)
            if knob is None:
                continue
            given = knob.value
            notes.append(f"{name.replace('_', ' ')} {given}, as {knob} says")
        yield name, listed(given) if name in {"instance_types", "security_groups"} else given


def _user_data(reading: Reading, files: Files, *, with_config: bool) -> dict[str, Any]:
    given = [name for name in (*_USER_DATA, *_USER_DATA_FILE, *_DEFAULT, *_DEFAULT_FILE) if reading.has(name)]
    if len(given) > 1:
        raise BadRequest(f"-{given[0]} and -{given[1]}: say one of them")
    if not given:
        return {}
    option = given[0]
    value = reading.value(option) or ""
    content = files.text(value) if option.endswith("-file") else value
    if not content:
        raise BadRequest(f"-{option}: it is empty")
    if "default" not in option:
        return {"user_data": content}
    if not with_config:
        raise BadRequest(
            f"-{option}: it is for the launch specifications of a fleet configuration, and there is none; for all"
            " machines, say -aws-user-data"
        )
    return {"default_user_data": content}


def _extend(reading: Reading, name: str, *, debug: bool) -> Asked:
    lease = _lease(reading)
    if lease is None:
        raise BadRequest("for a new annex say -count or -slots, for another lease of one that lives -duration")
    fitting = {"annex-name", "duration", "lease-duration", "yes", "debug", "aws-region"}
    for option in reading.options.values():
        if option.name not in {*fitting, *_URLS, *_KEYS}:
            raise BadRequest(f"{option}: it goes with a new annex; say -count or -slots, too")
    return Asked("extend", {"name": name, "lifetime_s": lease}, debug=debug)


def _looking(reading: Reading, name: str | None) -> Asked:
    if reading.bare:
        raise BadRequest(f"{reading.bare[0]}: not an option")
    fitting = {"annex-name", "status", "classads", "aws-region", "debug", "yes"}
    for option in reading.options.values():
        if option.name not in {*fitting, *_URLS, *_KEYS}:
            raise BadRequest(f"{option}: it goes with a new annex")
    if name and (wrong := misnamed(name)):
        raise BadRequest(wrong)
    if reading.command == "off":
        if name is None:
            raise BadRequest("say which annex: -annex-name NAME off")
        return Asked("off", {"name": name}, yes=reading.has("yes"), words=reading.rest)
    body = {"name": name} if name else {}
    if reading.command == "status":
        return Asked("condor_status", body, words=reading.rest)
    return Asked("classads" if reading.has("classads") else "status", body)


def _account(reading: Reading, knobs: Knobs, yes: bool) -> Asked:
    verb = "setup" if reading.has("setup") else "check-setup"
    where = region(reading, knobs)
    behind = list(reading.said.get("setup", ((),))[0])
    keys: tuple[str, str] | None = None
    if len(behind) == 1:
        raise BadRequest("-setup takes FROM INSTANCE, or two key files, the access key's and the secret key's")
    if len(behind) > 2:
        where = where or _region_of("-setup's CloudFormation URL", behind[2])
    if behind:
        keys = (behind[0], behind[1])
    if named := _key_files(reading):
        if keys:
            raise BadRequest(_BOTH)
        keys = named
    if keys is None:
        found = [knobs.get(f"ANNEX_DEFAULT_{which}_KEY_FILE", where) for which in ("ACCESS", "SECRET")]
        if found[0] and found[1]:
            keys = (found[0].value, found[1].value)
    body: dict[str, Any] = {"region": where} if where else {}
    if keys and " ".join(keys).upper() == "FROM INSTANCE":
        body["from_instance"] = True
    elif keys and "FROM INSTANCE" not in keys:
        body["keys"] = keys
    elif keys:
        body["from_instance"] = True
    if reading.bare:
        raise BadRequest(f"{reading.bare[0]}: not an option")
    return Asked(verb, body, yes=yes)


def _key_files(reading: Reading) -> tuple[str, str] | None:
    access = reading.value(*_KEYS[:2], *_KEYS[4:6])
    secret = reading.value(*_KEYS[2:4], *_KEYS[6:])
    if not access and not secret:
        return None
    if not (access and secret):
        raise BadRequest(_BOTH)
    return access, secret


def _config_names(reading: Reading) -> bool:
    return reading.has(*_FLEET_FILE)
