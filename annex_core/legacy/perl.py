"""Command lines of the script that went by project ids, stacks and Auto Scaling groups."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from annex_core.errors import BadRequest
from annex_core.legacy.asked import Asked, Files, listed, whole
from annex_core.legacy.reading import Reading
from annex_core.model.names import misnamed
from annex_core.model.tags import stamp


def asked(reading: Reading, files: Files, *, zone: tzinfo, central_managers: frozenset[str]) -> Asked:
    """
    Args:
        zone: Where --expiry's moment is local.
        central_managers: Hosts that this pool's own central manager goes by, in lower case.

    Raises:
        BadRequest: Of a command line that makes no sense, or that asks for what is no more.
    """
    for option in reading.options.values():
        if option.refused:
            raise BadRequest(f"{option}: {option.now.removeprefix('Refused: ')}")
    if reading.has("help"):
        return Asked("help")
    if reading.bare:
        raise BadRequest(f"{reading.bare[0]}: not an option")
    project = reading.value("project-id")
    if project is None:
        raise BadRequest("say which annex: --project-id ID")
    name, notes = _name(project)
    notes += list(_pool(reading, central_managers))
    debug, yes = reading.has("verbose"), reading.has("yes")
    if reading.has("delete"):
        if other := next((option for option in reading.options.values() if option.name not in _WITH_DELETE), None):
            raise BadRequest(f"{other}: it goes with a new annex, not with --delete")
        return Asked("end", {"name": name, "now": True}, tuple(notes), yes=yes, debug=debug)
    ends = {"lease_ends": stamp(moment(reading.value("expiry") or "", zone))} if reading.has("expiry") else {}
    if not reading.has("instances"):
        if not ends:
            raise BadRequest("for a new annex say --instances, for another end of one that lives --expiry")
        if other := next((option for option in reading.options.values() if option.name not in _WITH_EXPIRY), None):
            raise BadRequest(f"{other}: it goes with a new annex; say --instances, too")
        return Asked("extend", {"name": name} | ends, tuple(notes), debug=debug)
    body: dict[str, Any] = {"name": name, "project": project} | ends
    body["instances"] = whole("--instances", reading.value("instances") or "", most=10000)
    body |= _place(reading)
    body |= _what(reading)
    if file := reading.value("config-file"):
        body["config_files"] = dict(files.config_files(file))
    return Asked("create", body, tuple(notes), yes=yes, debug=debug)


_WITH_DELETE = {"project-id", "delete", "region", "verbose", "yes"}
_WITH_EXPIRY = {"project-id", "expiry", "region", "verbose", "yes", "central-manager", "password-file"}


def moment(text: str, zone: tzinfo) -> datetime:
    """
    Args:
        text: 2016-04-06 17:00, with seconds or a zone (Z, +02:00) if need be.
        zone: Of a moment that names none.
    """
    written = text.strip().replace(" UTC", "+00:00").replace(" ", "T", 1).replace(" ", "")
    try:
        found = datetime.fromisoformat(written)
    except ValueError as error:
        raise BadRequest(
            f"--expiry {text}: it takes a moment such as 2016-04-06 17:00, or 2016-04-06T17:00Z"
        ) from error
    if "T" not in written:
        raise BadRequest(f"--expiry {text}: it takes the time of day, too, such as {text.strip()} 17:00")
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _name(project: str) -> tuple[str, list[str]]:
    name = project.replace("_", "-")
    if misnamed(name):
        raise BadRequest(f"--project-id {project}: the annex is called so, too. {misnamed(name)}")
    return name, [f"the annex is called {name}, for no annex has an underscore"] if name != project else []


def _pool(reading: Reading, central_managers: frozenset[str]) -> Iterator[str]:
    host = reading.value("central-manager")
    if host and host.partition(":")[0].lower() not in central_managers:
        raise BadRequest(
            f"--central-manager {host}: machines report to the annex pool of this access point, whose jobs they run;"
            " for another pool's, log in to an access point there"
        )
    if host:
        yield f"--central-manager {host}: machines report to the annex pool of this access point, beside it"
    if vpc := reading.value("vpc"):
        yield f"--vpc {vpc}: what --subnet names is where machines are launched"
    if reading.has("password-file"):
        yield "--password-file: not read; each machine carries a token of its own annex"


def _place(reading: Reading) -> dict[str, Any]:
    subnets = _list(reading, "subnet")
    if reading.has("vpc") and not subnets:
        raise BadRequest("--vpc: name the subnets to launch in: --subnet ID,ID")
    place: dict[str, Any] = {}
    if region := reading.value("region"):
        place["region"] = region
    if subnets:
        place["subnets"] = subnets
    if key := reading.value("keypair"):
        place["key_name"] = key
    return place


def _what(reading: Reading) -> dict[str, Any]:
    """Images, prices and types, which go together one by one."""
    lists = {name: _list(reading, name) for name in ("image-ids", "spot-prices", "instance-types")}
    given = [name for name, values in lists.items() if values]
    if not given:
        return {}
    if missing := [name for name in lists if name not in given]:
        raise BadRequest(f"--{given[0]}: it goes with --{missing[0]}")
    most = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in {1, most}:
            raise BadRequest(f"--{name}: {len(values)} of them, and {most} of another list; as many, or one for all")
    images, prices, types = ([*values * most][:most] if len(values) == 1 else values for values in lists.values())
    for price in prices:
        if not price.replace(".", "", 1).isdigit() or float(price) <= 0:
            raise BadRequest(f"--spot-prices {price}: it takes USD an hour, such as 0.06")
    if len(set(images)) == 1 and len(set(types)) == len(types):
        what: dict[str, Any] = {"image": images[0], "instance_types": types}
        return what | {"market": "spot", "max_price_usd": dict(zip(types, map(_plain, prices), strict=True))}
    subnets = {"SubnetId": reading.value("subnet") or ""} if reading.has("subnet") else {}
    specifications = [
        {"ImageId": image, "InstanceType": kind, "SpotPrice": _plain(price)} | subnets
        for image, price, kind in zip(images, prices, types, strict=True)
    ]
    return {"market": "spot", "fleet_config": {"LaunchSpecifications": specifications}}


def _list(reading: Reading, name: str) -> list[str]:
    given = reading.value(name)
    return [] if given is None else listed(f"--{name}", given)


def _plain(price: str) -> str:
    return f"0{price}" if price.startswith(".") else price.removesuffix(".")
