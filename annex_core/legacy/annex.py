"""Command lines of the withdrawn condor_annex, and of the annex daemon's client before it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from annex_core.errors import BadRequest
from annex_core.fleet_file.tagging import bad_tag
from annex_core.legacy.asked import Asked, Files, hours, listed, region_of, whole
from annex_core.legacy.knobs import IDLE_S, LEASE_S, Knob, Knobs
from annex_core.legacy.reading import Reading
from annex_core.model.names import misnamed

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
        return _account(reading, yes=yes, debug=debug)
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


def _region(reading: Reading, *urls: tuple[str, str]) -> str | None:
    """
    The region asked for, by its name or by an endpoint of AWS's own; None: there is none.

    Args:
        urls: Further endpoints, each behind what names it.
    """
    named = [*((f"-{name}", reading.value(name) or "") for name in _URLS if reading.has(name)), *urls]
    found = {what: region_of(what, url) for what, url in named}
    if (region := reading.value("aws-region")) is not None:
        found["-aws-region"] = region
    if len(set(found.values())) > 1:
        raise BadRequest(" and ".join(f"{option} ({where})" for option, where in found.items()) + " don't agree")
    return next(iter(found.values()), None)


def _create(reading: Reading, name: str, knobs: Knobs, files: Files, *, yes: bool, debug: bool) -> Asked:
    where = _region(reading) or knobs.region()
    spot = _market(reading)
    body: dict[str, Any] = {"name": name, "market": "spot" if spot else "on-demand"}
    if where:
        body["region"] = where
    config = _fleet_file(reading)
    by_default = _by_default(reading, knobs, where, spot=spot, config=config is not None)
    if config:
        body["fleet_config"] = files.fleet(config)
    elif knob := by_default.get("fleet_config"):
        try:
            body["fleet_config"] = files.fleet(knob.value)
        except BadRequest as error:
            raise BadRequest(f"{knob}: {error}") from error
    if spot:
        body["fleet_api"] = "spot-fleet"
    count = reading.value("slots", "count")
    if count is not None:
        body["slots" if spot else "instances"] = whole(
            "-slots" if reading.has("slots") else "-count", count, most=1000000 if spot else 10000
        )
    body["lifetime_s"] = _lease(reading) or knobs.seconds("ANNEX_DEFAULT_LEASE_DURATION", where, LEASE_S)
    body["idle_s"] = _idle(reading) or knobs.seconds("ANNEX_DEFAULT_UNCLAIMED_TIMEOUT", where, IDLE_S)
    body |= _owner(reading)
    body |= _tags(reading)
    body |= dict(_on_demand(reading, by_default, spot=spot))
    if by_default:
        body["by_default"] = sorted(by_default)
    body |= _user_data(reading, files, with_config="fleet_config" in body)
    if directory := reading.value("config-dir"):
        body["config_files"] = dict(files.config_files(directory))
    notes = tuple(f"{name.replace('_', ' ')} {knob.value}, as {knob} says" for name, knob in by_default.items())
    return Asked("create", body, notes, yes=yes, debug=debug)


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


def _fleet_file(reading: Reading) -> str | None:
    named = [value for value in (reading.value(*_FLEET_FILE), *reading.bare) if value]
    if len(named) > 1:
        raise BadRequest(f"{named[1]}: one fleet configuration is enough, and {named[0]} is one")
    return named[0] if named else None


def _by_default(reading: Reading, knobs: Knobs, where: str | None, *, spot: bool, config: bool) -> Mapping[str, Knob]:
    """
    The knobs that hold, by the field of a create that they fill, for the command line says nothing of it.

    Args:
        config: The command line names a fleet configuration.
    """
    names: dict[str, tuple[str, ...]] = {}
    if not spot:
        names = {field: (knob,) for field, (*options, knob) in _OF_ON_DEMAND.items() if not reading.has(*options)}
    elif not config:
        names["fleet_config"] = ("ANNEX_DEFAULT_SFR_CONFIG_FILE", "ANNEX_DEFAULT_SPOT_FLEET_CONFIG_FILE")
    found = {
        field: next(filter(None, (knobs.get(each, where) for each in some)), None) for field, some in names.items()
    }
    return {field: knob for field, knob in found.items() if knob}


def _lease(reading: Reading) -> int | None:
    """Seconds."""
    if reading.has("duration") and reading.has("lease-duration"):
        raise BadRequest("-duration and -lease-duration: say one of them")
    if (text := reading.value("duration")) is not None:
        return hours("-duration", text, least=60, most=31536000)
    if (text := reading.value("lease-duration")) is not None:
        return whole("-lease-duration", text, most=31536000)
    return None


def _idle(reading: Reading) -> int | None:
    """Seconds."""
    text = reading.value("idle")
    return None if text is None else hours("-idle", text, least=5, most=2592000)


def _owner(reading: Reading) -> dict[str, Any]:
    named = reading.value("owner")
    if reading.has("no-owner"):
        if named is not None:
            raise BadRequest("-owner and -no-owner: say one of them")
        return {"any_owner": True}
    if named is None:
        return {}
    owners = listed("-owner", named)
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


def _on_demand(reading: Reading, by_default: Mapping[str, Knob], *, spot: bool) -> Iterator[tuple[str, Any]]:
    for name, (option, older, _) in _OF_ON_DEMAND.items():
        said: object = f"-{option if reading.has(option) else older}"
        given = reading.value(option, older)
        if given is not None and spot:
            raise BadRequest(f"{said}: it goes with on-demand machines, and -count")
        if given is None:
            if (knob := by_default.get(name)) is None:
                continue
            said, given = knob, knob.value
        yield name, listed(said, given) if name in {"instance_types", "security_groups"} else given


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


def _account(reading: Reading, *, yes: bool, debug: bool) -> Asked:
    """What of it no command line says, the verbs of our own ask the knobs for."""
    if reading.has("setup") and reading.has("check-setup"):
        raise BadRequest("-setup and -check-setup: say one of them")
    fitting = {"setup", "check-setup", "aws-region", "yes", "debug", *_URLS, *_KEYS}
    if other := next((option for option in reading.options.values() if option.name not in fitting), None):
        raise BadRequest(f"{other}: it goes with an annex, not with -setup and -check-setup")
    verb = "setup" if reading.has("setup") else "check-setup"
    behind = list(reading.said.get("setup", ((),))[0])
    keys: tuple[str, str] | None = None
    if len(behind) == 1:
        raise BadRequest("-setup takes FROM INSTANCE, or two key files, the access key's and the secret key's")
    where = _region(reading, *(("-setup's CloudFormation URL", url) for url in behind[2:]))
    if behind:
        keys = (behind[0], behind[1])
    if named := _key_files(reading):
        if keys:
            raise BadRequest(_BOTH)
        keys = named
    body: dict[str, Any] = {"region": where} if where else {}
    if keys and " ".join(keys).upper() == "FROM INSTANCE":
        body["from_instance"] = True
    elif keys and "FROM INSTANCE" not in keys:
        body["keys"] = keys
    elif keys:
        body["from_instance"] = True
    if reading.bare:
        raise BadRequest(f"{reading.bare[0]}: not an option")
    return Asked(verb, body, yes=yes, debug=debug)


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
