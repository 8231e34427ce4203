"""What annexes and jobs have cost: condor_annex costs, and AnnexCost, which is an expression of the job's own ad."""

import json
import re
import time
from datetime import timedelta
from decimal import Decimal

import classad2
import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import schema
from annex_core.adapters.server import Call
from annex_core.cli import costs as command
from annex_core.cli.screen import Screen
from annex_core.daemon.costs import costs
from annex_core.daemon.provisioner import Standing
from annex_core.errors import Refused
from annex_core.model.limits import Spent
from annex_core.model.plan import Plan
from annex_core.model.snapshot import RegionView
from tests import shipped
from tests.unit.test_answering import ADMIN_SPEAKS, ALICE_SPEAKS
from tests.unit.test_answering import answers as answers
from tests.unit.test_answering import hearsay as hearsay
from tests.unit.test_answering import recorded as recorded
from tests.unit.test_answering import woken as woken
from tests.unit.world import NOW, instance, known, living

HOUR = timedelta(hours=1)
PAST = [
    Spent("alice", "blue", "physics", "spot", "2026-10", Decimal("2.5")),
    Spent("alice", "blue", "physics", "spot", "2026-11", Decimal(1)),
    Spent("bob", "sky", "maths", "spot", "2026-11", None),
]


def standing(*machines):
    listed = [instance(each.id) for each in machines if each.gone is None]
    return Standing(living((), at=RegionView(listed, []), known=machines), Plan((), {}))


def answered(owner=None):
    of = standing(known("i-1", launched=NOW - HOUR), known("i-2", launched=NOW - 2 * HOUR, gone=NOW - HOUR))
    return costs(of, PAST, owner)


def test_the_answer_is_what_its_schema_says():
    Draft202012Validator(schema("costs")).validate(answered())
    Draft202012Validator(schema("costs")).validate(costs(None, PAST, None))


def test_living_and_finished_lives_of_an_annex_are_one_line_a_month():
    rows = {(row["month"], row["annex"]): row["usd_estimate"] for row in answered()["costs"]}
    assert rows == {("2026-10", "blue"): "2.5000", ("2026-11", "blue"): "1.2000", ("2026-11", "sky"): None}


def test_users_see_their_own_alone(answers):
    assert {row["owner"] for row in answered("alice")["costs"]} == {"alice"}

    def of(peer, body=b"{}"):
        return json.loads(answers(Call("costs", body, peer)))["owner"]

    assert (of(ALICE_SPEAKS), of(ADMIN_SPEAKS), of(ADMIN_SPEAKS, b'{"owner": "bob"}')) == ("alice", None, "bob")
    with pytest.raises(Refused, match="only an administrator"):
        of(ALICE_SPEAKS, b'{"owner": "bob"}')


@pytest.mark.parametrize(
    ("by", "line"),
    [
        ("annex", r"2026-11 +physics +alice +blue +1\.20"),
        ("project", r"2026-10 +physics +2\.50"),
        ("owner", r"2026-11 +bob +unknown"),
        ("month", r"2026-10 +2\.50"),
        ("route", r"total +unknown"),
    ],
)
def test_the_table_adds_up_and_says_that_it_is_an_estimate(by, line, capsys):
    command.show(answered(), Screen(width=80), by=by)
    printed = capsys.readouterr().out
    assert re.search(line, printed)
    assert "estimate from above" in printed
    assert all(len(each) <= 80 for each in printed.splitlines())


def test_json_and_a_month_are_what_was_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(command, "ask", lambda verb, body: answered(body.get("owner")))
    assert command.run(["-month", "2026-10", "-json"]) == 0
    assert [row["month"] for row in json.loads(capsys.readouterr().out)["costs"]] == ["2026-10"]


@pytest.mark.parametrize("text", ["November", "2026-1", "2026-13", "26-11", "2026-11-01"])
def test_what_is_no_month_is_refused_and_not_a_month_without_costs(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.run(["-month", text])
    assert "such as 2026-11" in capsys.readouterr().err


BURST = "50-annex-submit.config", "52-annex-router.config", "62-annex-route-burst.config"


@pytest.fixture(params=["AnnexSteer", "AnnexBurstCost"])
def job(request):
    """One that has run for an hour on two of a machine's eight CPUs, and has half of its memory."""
    (expression,) = shipped.said(shipped.transform(f"JOB_TRANSFORM_{request.param}", *BURST), "SET AnnexCost")
    ad = classad2.ClassAd(
        {
            "JobStatus": 4,
            "RequestCpus": 1,
            "RequestMemory": 1,
            "CpusProvisioned": 2,
            "MemoryProvisioned": 8000,
            "RemoteWallClockTime": 3600.0,
            "MachineAttrAnnexHourlyPrice0": 0.8,
            "MachineAttrTotalCpus0": 8,
            "MachineAttrTotalMemory0": 16000,
        }
    )
    ad["AnnexCost"] = classad2.ExprTree(expression)
    return ad


class TestAJobsCost:
    def test_is_its_hours_at_its_share_of_the_machine(self, job):
        assert job.eval("AnnexCost") == 0.4
        job["CpusProvisioned"] = 6
        assert job.eval("AnnexCost") == 0.6

    def test_grows_while_it_runs_with_what_earlier_runs_cost(self, job):
        job["JobStatus"] = 2
        job["ShadowBday"] = int(time.time()) - 3600
        assert job.eval("AnnexCost") == pytest.approx(0.8, abs=0.01)

    @pytest.mark.parametrize("lacking", ["MachineAttrAnnexHourlyPrice0", "MachineAttrTotalCpus0"])
    def test_is_undefined_where_it_has_not_run_on_an_annex(self, job, lacking):
        del job[lacking]
        assert job.eval("AnnexCost") is classad2.Value.Undefined

    def test_goes_by_what_it_asked_for_until_it_is_known_what_it_got(self, job):
        del job["CpusProvisioned"], job["MemoryProvisioned"]
        job["RequestCpus"] = 4
        assert job.eval("AnnexCost") == 0.4


class TestAJobThatNamedNoAnnex:
    """It may join one by a route, and the router may not set its cost then."""

    @pytest.mark.parametrize(
        ("given", "brings"),
        [
            ({}, True),
            ({"AnnexNever": True}, False),
            ({"JobUniverse": 7}, False),
            ({"JobFactoryId": 1}, False),
            ({"AnnexProject": "physics"}, False),
            ({"TargetAnnexName": "hpc"}, False),
        ],
        ids=["may", "may not", "not vanilla", "a factory's template", "named one", "HTCondor's own annex"],
    )
    def test_brings_its_cost_along(self, given, brings):
        (wanted,) = shipped.said(shipped.transform("JOB_TRANSFORM_AnnexBurstCost", *BURST), "REQUIREMENTS")
        job = classad2.ClassAd({"Owner": "alice", "JobUniverse": 5, **given})
        assert classad2.ExprTree(wanted).eval(job) is brings

    def test_does_so_once_the_shipped_form_of_such_a_route_is_switched_on(self):
        assert "AnnexBurstCost" not in shipped.value("JOB_TRANSFORM_NAMES", *BURST)
        form = (shipped.CONFIG / BURST[-1]).read_text()
        lines = "\n".join(re.findall(r"^# (\w+ = \$\(.*)$", form, re.MULTILINE))
        assert "AnnexBurstCost" in shipped.value("JOB_TRANSFORM_NAMES", *BURST, more=lines)
        assert "burst" in shipped.value("JOB_ROUTER_ROUTE_NAMES", *BURST, more=lines)
