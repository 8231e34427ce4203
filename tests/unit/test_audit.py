"""The audit log: who, what, from where, and what AWS answered; never a secret."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.audit import AuditLog, because
from annex_core.adapters.aws_answers import Answered
from annex_core.adapters.journal import Journal
from annex_core.adapters.order_book import OrderBook
from annex_core.adapters.requests import SECRETIVE, read, reserved, without_secrets
from annex_core.adapters.schemas import schema
from annex_core.adapters.server import Call
from annex_core.adapters.settings import LogSettings
from annex_core.daemon.answering import Answers
from annex_core.daemon.causes import cause
from annex_core.daemon.commanding import Commands
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.provisioner import Standing
from annex_core.errors import AnnexError, BadRequest
from annex_core.model.annex import Ending
from annex_core.model.audit import Origin, Who
from annex_core.model.order import Order
from annex_core.model.plan import CancelFleets, CloseLaunch, FinishAnnex, LaunchFleet, Retag, Terminate
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.fakes import key_desk
from tests.unit.test_answering import ADMIN_SPEAKS
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
    actions,
    annex,
    fleet,
    group,
    instance,
    launch,
    living,
    slot,
    snapshot,
)

LAUNCHED = Answered("ec2", "RequestSpotFleet", REGION, None, "req-1")


@pytest.fixture
def audit(tmp_path):
    made = AuditLog(clock=lambda: NOW)
    made.start(LogSettings(tmp_path / "AnnexAuditLog", 1_000_000, 1))
    yield made
    made.close()


def lines(folder):
    return [json.loads(line) for line in (folder / "AnnexAuditLog").read_text().splitlines()]


def test_what_aws_was_asked_to_change_is_a_line_with_its_cause_and_aws_s_own_id(audit, tmp_path):
    with because(Origin.COMMAND, "alice/blue", Who("alice")):
        audit.told(LAUNCHED)
    assert lines(tmp_path) == [
        {
            "at": "2026-11-21T12:00:00Z",
            "who": {"user": "alice", "uid": None, "pid": None},
            "from": "command",
            "what": "ec2:RequestSpotFleet",
            "annex": "alice/blue",
            "region": REGION,
            "outcome": "ok",
            "aws_request_id": "req-1",
        }
    ]


def test_a_call_that_failed_has_aws_s_code_as_its_outcome(audit, tmp_path):
    audit.told(Answered("ec2", "TerminateInstances", REGION, "UnauthorizedOperation", "req-2"))
    (line,) = lines(tmp_path)
    assert (line["outcome"], line["from"], line["who"]) == ("UnauthorizedOperation", "lease", None)


@pytest.mark.parametrize("operation", ["DescribeInstances", "GetParameters", "ListStacks", "HeadObject"])
def test_what_only_asks_is_no_line(audit, tmp_path, operation):
    audit.told(Answered("ec2", operation, REGION, None, "req-3"))
    assert lines(tmp_path) == []


def test_a_cause_ends_with_its_action(audit, tmp_path):
    with because(Origin.GROWTH, "alice/blue"):
        pass
    audit.told(LAUNCHED)
    assert lines(tmp_path)[0]["annex"] is None


def test_the_file_is_put_aside_when_it_has_grown_and_another_one_is_begun_at_reconfig(tmp_path):
    audit = AuditLog(clock=lambda: NOW)
    audit.start(LogSettings(tmp_path / "a", 300, 1))
    for _ in range(3):
        audit.told(LAUNCHED)
    assert (tmp_path / "a.old").exists()
    audit.start(LogSettings(tmp_path / "b", 300, 1))
    audit.told(LAUNCHED)
    assert len((tmp_path / "b").read_text().splitlines()) == 1
    audit.close()


def test_machines_that_jobs_need_are_growth_and_those_that_were_ordered_their_orderers(audit):
    ordered = Order("o1", annex().id, NOW, "root", instances=2, by_uid=0)
    of = living([group(9)], at=RegionView(), orders=[ordered])
    causes = {each.order: cause(each, of) for each in actions(of, LaunchFleet)}
    assert causes == {
        None: (Origin.GROWTH, "alice/blue", None),
        "o1": (Origin.COMMAND, "alice/blue", Who("root", 0)),
    }
    again = launch("t1", order="o1")
    assert cause(again, of) == (Origin.COMMAND, "alice/blue", Who("root", 0))


def test_what_ends_names_the_annexes_whose_it_was():
    ended = annex(lease_ends=NOW - timedelta(minutes=1))
    tagged = {**instance().tags, "htcondor:LeaseEnds": "2026-11-21T11:00:00Z"}
    view = RegionView([instance(tags=tagged)], [fleet(tags=tagged)])
    over = living([], at=view, annexes={ALICE: ended})
    causes = [cause(each, over) for each in actions(over, (CancelFleets, Terminate))]
    assert causes == [(Origin.LEASE, "alice/blue", None)] * 2
    assert cause(FinishAnnex(ended), over) == (Origin.LEASE, "alice/blue", None)


EXTENDER, ENDER = Who("alice", 1001), Who("admin", 1002)
LASTS = NOW + timedelta(hours=3)


def test_what_an_extension_changes_is_its_commanders_and_what_a_route_decided_is_the_leases():
    view = RegionView([instance()], [fleet()])
    for by, origin in ((EXTENDER, Origin.COMMAND), (None, Origin.LEASE)):
        of = living([group()], at=view, annexes={ALICE: annex(lease_ends=LASTS, lease_by=by)})
        assert [cause(each, of) for each in actions(of, Retag)] == [(origin, "alice/blue", by)]


@pytest.mark.parametrize("how", Ending)
@pytest.mark.parametrize(("by", "origin"), [(ENDER, Origin.COMMAND), (None, Origin.LEASE)])
def test_all_that_an_end_by_hand_changes_is_its_commanders_and_the_lease_has_no_part_in_it(how, by, origin):
    """From the first tag to the last template; an older journal doesn't say whose the end was."""
    ended = annex(ending=how, ending_since=NOW - timedelta(hours=1), ended_by=by, lease_by=EXTENDER)
    at_first = living(
        [], at=RegionView([instance()], [fleet()]), annexes={ALICE: ended}, launches=[launch()], slots=[slot()]
    )
    in_the_end = living([], at=RegionView(), annexes={ALICE: ended})
    kinds = set()
    for of in (at_first, in_the_end):
        for each in plan(of).actions:
            kinds.add(type(each))
            assert cause(each, of) == (origin, "alice/blue", by)
    ways = {Ending.NOW: {CancelFleets, Terminate}, Ending.DRAIN: {CloseLaunch, Retag, Terminate}}
    assert kinds == {*ways[how], FinishAnnex}


def test_a_cap_that_drains_a_machine_is_no_command_of_whoever_set_the_lease():
    capped = {"spot": replace(ROUTE, max_instances=0)}
    of = living(
        [],
        at=RegionView([instance()], [fleet()]),
        annexes={ALICE: annex(lease_by=EXTENDER)},
        launches=[launch()],
        slots=[slot()],
        routes=capped,
    )
    causes = {cause(each, of) for each in actions(of, Retag)}
    assert causes == {(Origin.LEASE, "alice/blue", None)}


# Secrets.

SECRET = "tell-nobody-AKIA0123456789"
PLANTED = {
    "user_data": SECRET,
    "default_user_data": SECRET,
    "config_files": {"70-mine": base64.b64encode(SECRET.encode()).decode()},
    "tags": {"key": SECRET},
    "fleet_config": {"LaunchSpecifications": [{"UserData": SECRET}]},
}
HIDDEN = (SECRET, PLANTED["config_files"]["70-mine"])


def test_fields_that_may_hold_a_secret_are_fields_of_the_schema():
    assert PLANTED.keys() == SECRETIVE
    assert schema("request")["$defs"]["create"]["properties"].keys() >= SECRETIVE
    assert reserved() <= schema("request")["$defs"]["create"]["properties"].keys()


def spoilt():
    """Bodies that are refused for each of many reasons, with a secret in each of its places."""
    yield {"name": "blue", **PLANTED}
    yield {"name": "blue", **PLANTED, "instances": 1, "slots": 1}
    yield {"name": "a_b", **PLANTED}
    yield {**PLANTED}
    yield {"name": "blue", **PLANTED, "count": 3}
    for name in PLANTED:
        for value in (
            SECRET,
            [SECRET],
            {"x": SECRET},
            {"../x": SECRET},
            {"UserData": [SECRET]},
            {"x": [SECRET]},
            7,
            SECRET * 2000,
        ):
            yield {"name": "blue", name: value}


def test_no_secret_of_a_command_gets_into_the_audit_log_the_daemons_log_or_a_sentence(audit, tmp_path, caplog):
    journal = Journal(tmp_path / "journal.db")
    of = snapshot()
    commands = Commands(
        standing=lambda: Standing(of, plan(of)),
        journal=journal,
        orders=OrderBook(journal),
        remains=lambda key, *, living: {},
        types=lambda region, names: {},
        spent=lambda now: (),
        keys=key_desk(),
        administrators={"admin"},
        default_route="",
        wake=lambda: None,
        clock=lambda: NOW,
    )
    answers = Answers(
        hearsay=Hearsay(),
        outlook=lambda key: None,
        status=lambda owner, administrator: {},
        costs=lambda owner: {},
        command=commands,
        foresee=lambda verb, body, peer: {},
        keys=key_desk(),
        administrators={"admin"},
        wake=lambda: None,
        audit=audit.write,
        clock=lambda: NOW,
    )
    said = []
    for number, body in enumerate(spoilt(), 1):
        try:
            said.append(answers(Call("create", json.dumps(body).encode(), ADMIN_SPEAKS)).decode())
        except AnnexError as error:
            said.append(str(error))
        assert len(lines(tmp_path)) == number
    journal.close()
    told = "\n".join([*said, (tmp_path / "AnnexAuditLog").read_text(), caplog.text])
    assert not [hidden for hidden in HIDDEN if hidden in told]


def test_what_a_command_asked_for_is_kept_but_for_what_may_be_secret():
    kept = json.loads(without_secrets({"name": "blue", "instances": 3, "user_data": SECRET}))
    assert kept == {"name": "blue", "instances": 3, "user_data": "..."}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"name": "a_b"}', "No annex can be called 'a_b'"),
        (b'{"name": "blue", "instances": -1}', "instances: -1 is less than the minimum of 1"),
        (b'{"name": "blue", "count": 3}', "'count' was unexpected"),
        (b'{"instances": 1}', "'name' is a required property"),
        (b'{"name": "blue", "instances": 1, "slots": 1}', "of instances and slots"),
        (b'{"name": "blue", "user_data": 7}', "user_data: what stands there has not the form"),
    ],
)
def test_each_bad_body_is_told_in_one_sentence_what_is_wrong(body, words):
    with pytest.raises(BadRequest, match=words):
        read("create", body)
