"""condor_annex config: what is in force, and who said it."""

import re
from pathlib import Path

import pytest

from annex_core.adapters import pool_limits, settings
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.recipes import FIELDS, Checker
from annex_core.adapters.route_text import RouteText, logical_lines
from annex_core.adapters.schemas import schema
from annex_core.adapters.settings import KNOBS
from annex_core.cli.config import _lines, for_annex, pool_settings
from annex_core.cli.main import main
from annex_core.model.setting import Origin, Setting

ROUTE = """\
AnnexRegion = us-east-2
AnnexMaxInstances = $(AnnexMost)
AnnexMost = 20
AnnexBudget = 30
"""
DUMP = """\
# Configuration from machine: ap
ANNEXD_INTERVAL = 30
 # at: /etc/condor/config.d/99-site.config, line 4
ANNEX_DEFAULT_LEASE_DURATION = 3000
 # at: <Default>
us_east_2.ANNEX_DEFAULT_ODI_IMAGE_ID = ami-1
 # at: /etc/condor/config.d/99-site.config, line 7
JOB_ROUTER_ROUTE_aws @=end
  AnnexRegion = us-east-2
  ANNEXD_LOG = /somewhere/else
@end
 # at: /etc/condor/config.d/99-site.config, line 9
ANNEX_LIMITS @=end
  pool    MaxInstances=200
  owner * MonthlyBudget=50
@end
 # at: /etc/condor/config.d/99-site.config, line 20
JOB_TRANSFORM_Annex = SET X 1
 # at: /etc/condor/config.d/50-annex-submit.config, line 1
"""


def in_force(pool: dict[str, str] | None = None, places: dict[str, str] | None = None) -> dict[str, Setting]:
    text = RouteText("aws", logical_lines(ROUTE.splitlines(), 11), "/etc/condor/routes")
    found = Checker(schema("route"), Catalogue()).settings(text, pool or {}, places or {})
    return {each.name: each for each in found}


def test_every_macro_is_told_once_with_where_it_was_said() -> None:
    found = in_force({"AnnexIdleTimeout": "9m"}, {"annexidletimeout": "/etc/condor/pool:3"})

    assert found.keys() == schema("route")["properties"].keys()
    assert found["AnnexRegion"] == Setting("AnnexRegion", "us-east-2", Origin.ROUTE, "/etc/condor/routes:11")
    assert found["AnnexMaxInstances"].value == "20"
    assert found["AnnexIdleTimeout"] == Setting("AnnexIdleTimeout", "9m", Origin.POOL, "/etc/condor/pool:3")
    assert found["AnnexFulfilWithin"] == Setting("AnnexFulfilWithin", "600s", Origin.DEFAULT)
    assert found["AnnexKeyName"] == Setting("AnnexKeyName", None, Origin.DEFAULT)


def test_a_command_goes_before_the_route_and_a_job_tightens_it() -> None:
    decided = {"command": {"idle_s": "120", "user_data": "given"}, "job": {"max_instances": "5", "budget": "99"}}

    found = {each.name: each for each in for_annex(in_force().values(), decided)}

    assert found["AnnexIdleTimeout"] == Setting("AnnexIdleTimeout", "120s", Origin.COMMAND)
    assert found["AnnexMaxInstances"] == Setting("AnnexMaxInstances", "5", Origin.JOB)
    assert (found["AnnexBudget"].value, found["AnnexBudget"].origin) == ("30", Origin.ROUTE)
    assert found["user_data"] == Setting("user_data", "given", Origin.COMMAND)


LEASE = "2026-11-21T14:00:00Z"


@pytest.mark.parametrize(
    ("decided", "origin", "lifetime"),
    [
        ({"command": {"lease_ends": LEASE, "lifetime_s": "7200"}, "job": {}}, Origin.COMMAND, "7200s"),
        ({"command": {}, "job": {"lease_ends": LEASE, "lifetime_s": "7200"}}, Origin.JOB, "7200s"),
        ({"command": {}, "job": {}}, Origin.POOL, "2h"),
    ],
)
def test_a_lease_s_end_is_told_with_whoever_its_lifetime_is_by(
    decided: dict[str, dict[str, str]], origin: Origin, lifetime: str
) -> None:
    settings = in_force({"AnnexLifetime": "2h"}, {"annexlifetime": "/etc/condor/pool:4"})

    found = {each.name: each for each in for_annex(settings.values(), decided, LEASE)}

    where = "/etc/condor/pool:4" if origin is Origin.POOL else ""
    assert found["AnnexLifetime"] == Setting("AnnexLifetime", lifetime, origin, where)
    assert found["lease_ends"] == Setting("lease_ends", LEASE, origin, where)


def test_a_lease_that_ends_at_a_moment_leaves_the_lifetime_to_the_route() -> None:
    decided = {"command": {"lease_ends": LEASE}, "job": {}}

    found = {each.name: each for each in for_annex(in_force().values(), decided, LEASE)}

    assert found["AnnexLifetime"].origin is Origin.DEFAULT
    assert found["lease_ends"].origin is Origin.COMMAND


@pytest.mark.parametrize(("whose", "origin"), [("command", Origin.COMMAND), ("job", Origin.JOB)])
def test_types_market_and_idle_time_out_stand_in_the_place_of_the_macros(whose: str, origin: Origin) -> None:
    fields = {"instance_types": "c5.large, m5.large", "market": "on-demand", "idle_s": "90"}
    decided: dict[str, dict[str, str]] = {"command": {}, "job": {}} | {whose: fields}

    found = {each.name: each for each in for_annex(in_force().values(), decided)}

    assert found["AnnexInstanceTypes"] == Setting("AnnexInstanceTypes", "c5.large, m5.large", origin)
    assert found["AnnexMarket"] == Setting("AnnexMarket", "on-demand", origin)
    assert found["AnnexIdleTimeout"] == Setting("AnnexIdleTimeout", "90s", origin)


def test_the_pools_knobs_are_told_set_or_not_and_no_route_speaks_for_them() -> None:
    found = {each.name: each for each in pool_settings(DUMP)}

    place = "/etc/condor/config.d/99-site.config"
    assert found["ANNEXD_INTERVAL"] == Setting("ANNEXD_INTERVAL", "30", Origin.POOL, f"{place}:4")
    assert found["ANNEX_LIMITS"].where == f"{place}:20"
    assert "= pool    MaxInstances=200; owner * MonthlyBudget=50   #" in "\n".join(_lines(found.values()))
    assert found["ANNEXD_LOG"] == Setting("ANNEXD_LOG", "$(LOG)/AnnexdLog", Origin.DEFAULT)
    assert found["us_east_2.ANNEX_DEFAULT_ODI_IMAGE_ID"].where == f"{place}:7"
    assert found.keys() == {*KNOBS, "us_east_2.ANNEX_DEFAULT_ODI_IMAGE_ID"}


def test_every_knob_that_the_daemon_reads_is_known() -> None:
    read = re.findall(r'(?:text|path|required|words|duration|size|count|boolean|key_files)\("((?:MAX_|NUM_)*ANNEX\w+)"',
                      Path(settings.__file__).read_text())  # fmt: skip

    assert {*read, pool_limits.KNOB} == KNOBS.keys()


def test_every_macro_has_a_field() -> None:
    assert FIELDS.keys() == schema("route")["properties"].keys()


def test_a_route_that_is_not_there_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "-route", "nowhere"]) == 1

    assert "there is no route nowhere" in capsys.readouterr().err
