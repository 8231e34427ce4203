import json

import pytest

from annex_core.adapters.server import Call, Peer
from annex_core.daemon.answering import Answers
from annex_core.daemon.hearsay import Hearsay
from annex_core.errors import BadRequest, Refused
from annex_core.model.audit import Origin, Who
from tests.unit.fakes import key_desk
from tests.unit.world import ALICE, NOW, group

JOB = b'ClusterId = 7\nProcId = 0\nOwner = "alice"\nTargetAnnexName = "blue"\nAnnexStatus = "old"\n'
TRANSLATE = b'[ Name = "spot"; TargetUniverse = 5 ]\n------\n' + JOB


class Named(Peer):
    """A peer whose user name needs no account on this machine."""

    name = property(lambda self: {0: "root", 1001: "alice", 1002: "bob", 1003: "admin"}.get(self.uid))


ALICE_SPEAKS, BOB_SPEAKS, ADMIN_SPEAKS, NOBODY_SPEAKS = (Named(uid, uid, 1) for uid in (1001, 1002, 1003, 999))


@pytest.fixture
def hearsay():
    return Hearsay()


@pytest.fixture
def woken():
    return []


@pytest.fixture
def recorded():
    return []


@pytest.fixture
def answers(hearsay, woken, recorded):
    return Answers(
        hearsay=hearsay,
        outlook=lambda key: "Annex blue: machines 2 booting." if key == ALICE else None,
        status=lambda owner, administrator: {"owner": owner, "administrator": administrator},
        costs=lambda owner: {"owner": owner},
        command=lambda verb, body, peer: {"verb": verb, "body": body.decode(), "by": peer.name},
        foresee=lambda verb, body, peer: {"verb": verb, "of": body.decode(), "for": peer.name},
        keys=key_desk(),
        administrators={"admin"},
        wake=lambda: woken.append(True),
        audit=recorded.append,
        clock=lambda: NOW,
    )


def test_a_translated_job_carries_what_is_known_of_its_annex(answers, woken):
    answer = answers(Call("translate", TRANSLATE, ALICE_SPEAKS))
    assert b'AnnexStatus = "Annex blue: machines 2 booting."' in answer
    assert b"old" not in answer
    assert woken


def test_the_word_of_a_hook_names_its_jobs_route(answers, hearsay):
    answers(Call("translate", TRANSLATE, ALICE_SPEAKS))
    assert [each.route for each in hearsay.routed([group(route=None)], NOW)] == ["spot"]


@pytest.mark.parametrize("peer", [BOB_SPEAKS, NOBODY_SPEAKS, Named(0, 0, 1)], ids=["bob", "no account", "root"])
def test_a_word_about_anothers_job_is_refused_and_changes_nothing(answers, hearsay, woken, peer):
    with pytest.raises(Refused, match="takes no word from others"):
        answers(Call("translate", TRANSLATE, peer))
    assert [each.route for each in hearsay.routed([group(route=None)], NOW)] == [None]
    assert not woken


def test_a_job_that_names_no_annex_is_refused(answers):
    with pytest.raises(BadRequest, match="names no annex"):
        answers(Call("translate", TRANSLATE.replace(b"TargetAnnexName", b"Other"), ALICE_SPEAKS))


def test_a_hook_that_has_no_job_yet_wakes_the_daemon(answers, woken):
    assert answers(Call("wake", b"", ALICE_SPEAKS)) == b""
    assert woken


def test_a_job_whose_annex_can_have_no_such_name_is_refused(answers):
    with pytest.raises(BadRequest, match="No annex can be called"):
        answers(Call("translate", TRANSLATE.replace(b'"blue"', b'"../bad"'), ALICE_SPEAKS))


@pytest.mark.parametrize("verb", ["update", "finalize", "cleanup"])
def test_the_other_hooks_are_told_to_change_nothing(answers, verb):
    assert answers(Call(verb, JOB, ALICE_SPEAKS)) == b""


def test_a_user_is_shown_their_own_annexes(answers):
    assert json.loads(answers(Call("status", b"{}", BOB_SPEAKS))) == {"owner": "bob", "administrator": False}


def test_a_user_who_asks_for_anothers_annexes_is_refused(answers):
    with pytest.raises(Refused, match="only an administrator"):
        answers(Call("status", b'{"owner": "alice"}', BOB_SPEAKS))


def test_an_administrator_is_shown_everybodys_annexes(answers):
    assert json.loads(answers(Call("status", b"{}", ADMIN_SPEAKS))) == {"owner": None, "administrator": True}


@pytest.mark.parametrize("verb", ["create", "extend", "end", "freeze", "thaw"])
def test_what_is_asked_by_hand_is_handed_on_with_who_asks(answers, verb):
    assert json.loads(answers(Call(verb, b"{}", BOB_SPEAKS))) == {"verb": verb, "body": "{}", "by": "bob"}


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"owner": 5}'])
def test_a_malformed_status_request_is_refused_with_its_form(answers, body):
    with pytest.raises(BadRequest, match="status request is"):
        answers(Call("status", body, ALICE_SPEAKS))


def test_who_asked_for_what_is_recorded_with_what_came_of_it(answers, recorded):
    answers(Call("end", b'{"name": "blue", "owner": "alice", "now": true}', ADMIN_SPEAKS))
    (record,) = recorded
    assert (record.origin, record.what, record.annex, record.outcome) == (Origin.COMMAND, "end", "alice/blue", "ok")
    assert record.who == Who("admin", 1003, 1)


def test_a_hooks_word_is_recorded_and_one_that_is_refused_with_the_reason(answers, recorded):
    answers(Call("translate", TRANSLATE, ALICE_SPEAKS))
    with pytest.raises(Refused):
        answers(Call("translate", TRANSLATE, BOB_SPEAKS))
    assert [(each.origin, each.annex, each.who.user) for each in recorded] == [
        (Origin.HOOK, "alice/blue", "alice"),
        (Origin.HOOK, "alice/blue", "bob"),
    ]
    assert recorded[0].outcome == "ok"
    assert "takes no word from others" in recorded[1].outcome


def test_a_command_that_is_no_json_is_recorded_too(answers, recorded):
    answers(Call("create", b"no json", BOB_SPEAKS))
    assert (recorded[0].annex, recorded[0].asked) == (None, None)
