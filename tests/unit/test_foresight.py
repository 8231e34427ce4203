"""What the daemon answers about jobs that nobody has submitted, and about those that wait."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import schema
from annex_core.daemon.foresight import Foresight
from annex_core.daemon.provisioner import Standing
from annex_core.errors import BadRequest, Refused, Unavailable
from annex_core.model.runtime import Runtime
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.test_answering import ADMIN_SPEAKS, ALICE_SPEAKS, BOB_SPEAKS, NOBODY_SPEAKS
from tests.unit.world import ALICE, DOMAIN, ROUTE, annex, group, living, snapshot

HALF_AN_HOUR = Runtime(timedelta(minutes=30), timedelta(seconds=10), 50, "finished jobs of this program")
AD = """\
TargetAnnexName = "blue"
AnnexProject = "physics"
AnnexRoute = "spot"
Owner = "mallory"
RequestCpus = 2
RequestMemory = 1024
RequestDisk = 1024
Requirements = TARGET.AnnexName =?= MY.TargetAnnexName && MY.AnnexJobRequirements
AnnexJobRequirements = TARGET.OpSys == "LINUX"
"""


def foresight(of=None, expect=lambda owner, executable, batch: HALF_AN_HOUR):
    seen = of or snapshot()
    return Foresight(
        standing=lambda: Standing(seen, plan(seen)), expect=expect, domain=DOMAIN, administrators={"admin"}
    )


def asked(of, verb="plan", peer=ALICE_SPEAKS, **given):
    body = {"name": "blue"} if verb == "why" else {"name": "blue", "route": "spot", "groups": [{"ad": AD, "jobs": 8}]}
    return of(verb, json.dumps({**body, **given}).encode(), peer)


def test_the_answers_are_as_the_schema_says():
    definitions = schema("request")["$defs"]
    seen = foresight(snapshot([group(idle=5), group(cpus=64)]))
    for verb in ("plan", "why"):
        answer = asked(seen, verb)
        Draft202012Validator({"$ref": f"#/$defs/answers/{verb}", "$defs": definitions}).validate(answer)
        assert answer["groups"]


def test_what_would_be_launched_is_told_with_its_price_and_its_end():
    answer = asked(foresight())
    assert (answer["machines"], answer["lives"], answer["limits"]) == (1, False, [])
    (fleet,) = answer["fleets"]
    assert (fleet["machines"], fleet["types"]) == (1, ["c5.4xlarge"])
    assert answer["usd_per_hour"] == fleet["usd_per_hour"] == "0.6872"
    assert 1800 < answer["seconds"]["middle"] < 3600
    assert float(answer["usd_at_most"]) == pytest.approx(8 * 0.6872, rel=0.01)


def test_the_jobs_are_those_of_whoever_asks_whatever_their_ad_says():
    assert asked(foresight(), peer=BOB_SPEAKS)["owner"] == "bob"


def test_administrators_ask_for_others_and_nobody_else_does():
    assert asked(foresight(), peer=ADMIN_SPEAKS, owner="alice")["owner"] == "alice"
    with pytest.raises(Refused, match="only an administrator"):
        asked(foresight(), peer=BOB_SPEAKS, owner="alice")
    with pytest.raises(Refused, match="no user name"):
        asked(foresight(), peer=NOBODY_SPEAKS)


def test_what_the_last_plan_asks_for_counts_as_bought():
    """Both ask for the one machine that the cap allows."""
    route = replace(ROUTE, max_instances=1)
    answer = asked(foresight(snapshot([group(idle=16, cpus=1)], routes={"spot": route})))
    assert (answer["machines"], answer["others"]) == (0, 16)
    assert answer["limits"] == ["the cap of 1 machine is reached (AnnexMaxInstances of route spot)"]
    assert answer["seconds"]["low"] > 3000  # they take their turn


def test_learned_run_times_count_and_where_there_are_none_it_says_so():
    assert not asked(foresight())["guessed"]
    guess = asked(foresight(expect=None))
    assert guess["guessed"]
    assert guess["groups"][0]["run_time"] is None


def test_late_materialised_jobs_are_bought_for_as_they_wait_and_all_of_them_take_their_time():
    all_ = asked(foresight(), groups=[{"ad": AD, "jobs": 64}])
    few = asked(foresight(), groups=[{"ad": AD, "jobs": 64, "at_a_time": 8}])
    assert (all_["machines"], few["machines"]) == (8, 1)
    assert few["groups"][0]["jobs"] == 64
    assert few["seconds"]["middle"] > 3 * all_["seconds"]["middle"]


def test_an_annex_that_lives_keeps_its_route_and_says_so_to_who_insists_on_another():
    of = foresight(living(at=RegionView()))
    assert asked(of, route="other")["route"] == "spot"
    with pytest.raises(Refused, match="annex blue lives, and keeps its route spot"):
        asked(of, route="other", insist=True)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"route": "nowhere"}, "no route nowhere; there is spot"),
        ({"name": "green"}, "name annex blue, and green was asked for"),
        ({"groups": [{"ad": "RequestCpus = = 2", "jobs": 1}]}, "a job ad has no line such as"),
        ({"groups": [{"ad": "RequestCpus = 2", "jobs": 1}]}, "name no annex"),
    ],
)
def test_what_makes_no_sense_is_refused(given, why):
    with pytest.raises(Refused, match=why):
        asked(foresight(), **given)


@pytest.mark.parametrize("groups", [[], [{"ad": AD, "jobs": 0}], [{"ad": AD}], "all"])
def test_groups_that_are_none_are_refused_by_the_schema(groups):
    with pytest.raises(BadRequest, match="groups"):
        asked(foresight(), groups=groups)


def test_a_route_that_is_refused_says_why():
    of = replace(snapshot(), routes={}, refused_routes={"spot": "AnnexSubnets is empty"})
    with pytest.raises(Refused, match="AnnexSubnets is empty"):
        asked(foresight(of))


def test_of_a_route_that_is_refused_the_last_good_version_is_planned_for():
    of = replace(snapshot(), refused_routes={"spot": "AnnexSubnets is empty"})
    assert asked(foresight(of))["route"] == "spot"


def test_before_the_first_look_it_says_so():
    early = Foresight(standing=lambda: None, expect=None, domain=DOMAIN, administrators=())
    with pytest.raises(Unavailable, match="only just started"):
        asked(early)


def test_why_tells_each_group_what_was_decided_and_why_not_more():
    route = replace(ROUTE, max_instances=1)
    answer = asked(foresight(snapshot([group(idle=100, expected=HALF_AN_HOUR)], routes={"spot": route})), "why")
    (told,) = answer["groups"]
    assert (told["jobs"], told["placed"], told["served"], told["waiting"]) == (100, 0, 16, 84)
    assert told["machines"] == [{"types": ["c5.4xlarge"], "machines": 1}]
    assert told["why_not_more"] == "the cap of 1 machine is reached (AnnexMaxInstances of route spot)"
    assert told["run_time"]["seconds"] == 1800
    assert answer["status"].startswith("Annex blue:")


def test_why_of_an_annex_without_idle_jobs_and_of_none_at_all():
    assert asked(foresight(living(at=RegionView())), "why")["status"] == "Annex blue: no job waits."
    with pytest.raises(Refused, match="no annex blue of bob"):
        asked(foresight(living(at=RegionView(), annexes={ALICE: annex()})), "why", BOB_SPEAKS)


def test_why_does_not_take_a_schedd_that_is_silent_for_a_queue_without_jobs():
    silent = replace(living(at=RegionView()), demand=None)
    assert asked(foresight(silent), "why")["status"] == "Annex blue: the schedd does not answer."
    with pytest.raises(Unavailable, match="is not known: the schedd does not answer"):
        asked(foresight(silent), "why", BOB_SPEAKS)


def test_why_tells_how_the_last_try_failed():
    seen = living(at=RegionView())
    standing = Standing(seen, plan(seen), failures={annex().id: "AWS is away"})
    of = Foresight(standing=lambda: standing, expect=None, domain=DOMAIN, administrators=())
    assert asked(of, "why")["status"] == "Annex blue: no job waits. The last try failed: AWS is away."
