"""What is checked of a route to an account that nobody has set up, with no bucket, role or reaper, or to several."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from annex_core.adapters.route_reading import Reading
from annex_core.bundle.build import ExecutionPoint, bundle, user_data
from annex_core.errors import AnnexError
from annex_core.model.names import AnnexKey
from annex_core.model.place import OWNER
from annex_core.model.route import EVERYBODY

_OF_ONE_ACCOUNT = frozenset({"AnnexBucket", "AnnexFleetRole", "AnnexSecurityGroups", "AnnexInstanceProfile"})
_TOKEN = "".join(f"{number * number:x}" for number in range(1000, 1120))
"""As long as an IDTOKEN, and as hard to compress."""


def check(reading: Reading, values: Mapping[str, Any]) -> None:
    """
    Args:
        values: Of the route's macros.
    """
    owners = values.get("AnnexOwners", (EVERYBODY,))
    if values.get("AnnexCredentials") == OWNER and (EVERYBODY in owners or len(owners) > 1):
        for name in sorted(_OF_ONE_ACCOUNT & values.keys()):
            reading.warn(name, f"{name} is in one account, and by AnnexCredentials = owner each user has their own")
    api, pilot = values.get("AnnexFleetApi"), values.get("AnnexPilot")
    if api == "spot-fleet":
        on_demand = values.get("AnnexMarket") == "on-demand"
        needed = [*([] if pilot else ["AnnexBucket"]), *([] if on_demand else ["AnnexFleetRole"])]
        for name in needed:
            if name not in values:
                cure = "condor_annex setup makes one, and AnnexFleetApi = run-instances needs none"
                reading.refuse(name, f"{name} is missing; {cure}")
        return
    reading.warn("AnnexFleetApi", f"AnnexFleetApi is {api}: AWS by itself ends no machine at AnnexMaxLifetime")
    if "AnnexBucket" not in values and not pilot:
        where = "the annex's token travels in the user data, for whoever may read that in the account"
        reading.warn("AnnexBucket", f"AnnexBucket is not set: {where}")
        if "AnnexConfigDir" in values:
            _check_size(reading, values["AnnexConfigDir"])


def _check_size(reading: Reading, directory: str) -> None:
    """Is there room in the user data for the files of AnnexConfigDir, beside the boot script?"""
    name, moment = "AnnexConfigDir", datetime(2000, 1, 1, tzinfo=UTC)
    try:
        contents = {
            path.name: path.read_bytes()
            for path in sorted(Path(directory).iterdir())
            if path.is_file() and not path.name.startswith(".")
        }
        point = ExecutionPoint(
            key=AnnexKey("owner", "n" * 37),
            project="project",
            route="route",
            collector="collector.example.org:9619",
            trust_domain="example.org",
            idle_timeout=timedelta(0),
            lease_ends=moment,
        )
        inline = bundle(point, token=_TOKEN, config_dir=contents)
        user_data(source=inline, lease_ends=moment, ends_at_latest=moment, warm_until=moment)
    except OSError as error:
        reading.refuse(name, f"{name}: {error.strerror}: {error.filename}")
    except AnnexError as error:
        reading.refuse(name, f"{name}: {error}; with AnnexBucket there is more room")
