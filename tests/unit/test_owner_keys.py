"""AnnexCredentials = owner: each user's annexes in an account of their own, by keys that the daemon has in memory."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.requests import read_keys
from annex_core.adapters.server import Call
from annex_core.adapters.wire import KeysWanted
from annex_core.daemon.keyring import KeyRing
from annex_core.daemon.status import status
from annex_core.errors import BadRequest, NotPermitted, Refused
from annex_core.model import tags
from annex_core.model.keys import Keys
from annex_core.model.snapshot import RegionView
from annex_core.planner.places import once
from tests.unit.fakes import FakeCloud, key_desk
from tests.unit.test_answering import ADMIN_SPEAKS, ALICE_SPEAKS, BOB_SPEAKS, NOBODY_SPEAKS, TRANSLATE
from tests.unit.test_answering import answers as answers
from tests.unit.test_answering import hearsay as hearsay
from tests.unit.test_answering import recorded as recorded
from tests.unit.test_answering import woken as woken
from tests.unit.test_commands import Desk
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, BOB, NOW, ROUTE, annex, carried, fleet, group, instance, snapshot

BY_OWNER = replace(ROUTE, credentials="owner")
ALICES, BOBS = (BY_OWNER.of(user).place for user in ("alice", "bob"))
GOOD, OTHER = Keys("AKIAALICE", "alice's secret"), Keys("AKIAOTHER", "another secret")
HANDED = json.dumps({"access": "AKIAALICE", "secret": "hush+/="}).encode()
MINUTE = timedelta(minutes=1)


class TestTheRing:
    @pytest.fixture
    def ring(self):
        made = KeyRing()
        made.need(["alice"], NOW)
        return made

    def test_nobody_is_asked_of_whom_nothing_needs_keys(self, ring):
        assert not ring.ask("bob", NOW)
        assert ring.lacking("bob") == "bob's keys are not here; bob's next job or condor_annex command brings them"

    def test_of_many_that_come_at_once_one_is_asked_and_a_while_later_another(self, ring):
        assert [ring.ask("alice", NOW + timedelta(seconds=s)) for s in (0, 1, 9, 10, 11)] == [
            True, False, False, True, False,
        ]  # fmt: skip

    def test_whoever_has_mended_the_files_need_not_wait_to_be_asked(self, ring):
        assert ring.ask("alice", NOW)
        ring.miss("alice", "/home/alice/k: No such file or directory", NOW)
        assert [ring.ask("alice", NOW + timedelta(seconds=s)) for s in (1, 2)] == [False, True]

    def test_who_has_handed_over_good_ones_is_asked_no_more(self, ring):
        assert ring.hand("alice", GOOD, NOW)
        ring.answered("alice", None)
        assert (ring.ask("alice", NOW + MINUTE), ring.lacking("alice"), ring.keys("alice")) == (False, None, GOOD)

    def test_those_that_aws_does_not_take_are_asked_for_anew_and_replaced(self, ring):
        ring.hand("alice", GOOD, NOW)
        ring.answered("alice", "AuthFailure: not valid.")
        assert ring.lacking("alice").startswith("AWS does not take alice's keys (AuthFailure: not valid); ")
        assert ring.ask("alice", NOW + MINUTE)
        assert not ring.hand("alice", GOOD, NOW)
        assert ring.lacking("alice")
        assert ring.hand("alice", OTHER, NOW)
        assert (ring.lacking("alice"), ring.keys("alice")) == (None, OTHER)

    def test_what_could_not_be_read_is_said_and_leaves_those_that_are_there(self, ring):
        ring.miss("alice", "/home/alice/k may be read by others.", NOW)
        assert "alice's keys can't be had: /home/alice/k may be read by others; " in ring.lacking("alice")
        with pytest.raises(NotPermitted, match="may be read by others"):
            ring.keys("alice")
        ring.hand("alice", GOOD, NOW)
        ring.miss("alice", "gone", NOW)
        assert ring.keys("alice") == GOOD

    def test_an_hour_after_their_last_use_they_are_forgotten(self, ring):
        ring.hand("alice", GOOD, NOW)
        ring.need(["bob"], NOW + 59 * MINUTE)
        assert ring.keys("alice") == GOOD
        ring.need(["bob"], NOW + 61 * MINUTE)
        assert ring.owners() == {"bob"}
        with pytest.raises(NotPermitted):
            ring.keys("alice")

    def test_nothing_shows_them(self, ring):
        ring.hand("alice", GOOD, NOW)
        shown = f"{GOOD!r} {ring._rings!r} {vars(ring)!r} {Call('keys', HANDED, ALICE_SPEAKS)!r}"
        assert not any(secret in shown for secret in (GOOD.access, GOOD.secret, "hush", "AKIAALICE"))


class TestWhatIsHandedOver:
    """On the socket."""

    @pytest.fixture
    def ring(self):
        return KeyRing()

    @pytest.fixture
    def socket(self, answers, ring, woken):
        answers._keys = key_desk(ring, [BY_OWNER], wake=lambda: woken.append("keys"))
        return answers

    def test_a_hook_is_asked_for_them_first_and_its_second_try_is_answered(self, socket, recorded):
        with pytest.raises(KeysWanted) as wanted:
            socket(Call("translate", TRANSLATE, ALICE_SPEAKS))
        assert wanted.value.files == ("~/.condor/publicKeyFile", "~/.condor/privateKeyFile")
        socket(Call("keys", HANDED, ALICE_SPEAKS))
        assert b"AnnexStatus" in socket(Call("translate", TRANSLATE, ALICE_SPEAKS))
        assert [record.outcome for record in recorded] == ["asked for keys", "ok", "ok"]

    def test_a_route_by_the_sites_credentials_asks_nobody(self, socket, ring):
        socket._keys = key_desk(ring, [ROUTE])
        assert b"AnnexStatus" in socket(Call("translate", TRANSLATE, ALICE_SPEAKS))
        with pytest.raises(Refused, match="no annex route that is open to alice goes by its users' own keys"):
            socket(Call("keys", HANDED, ALICE_SPEAKS))

    def test_nor_does_one_that_is_not_open_to_them(self, socket, ring):
        socket._keys = key_desk(ring, [replace(BY_OWNER, owners=("bob",))])
        assert b"AnnexStatus" in socket(Call("translate", TRANSLATE, ALICE_SPEAKS))

    @pytest.mark.parametrize("verb", ["status", "extend", "end", "freeze", "thaw", "remains"])
    def test_a_command_of_whose_annexes_lack_them_is_asked_for_them(self, socket, ring, verb):
        ring.need(["alice"], NOW)
        socket(Call(verb, b"{}", BOB_SPEAKS))
        with pytest.raises(KeysWanted):
            socket(Call(verb, b"{}", ALICE_SPEAKS))

    def test_they_are_whose_the_kernel_says(self, socket, ring):
        socket(Call("keys", HANDED, BOB_SPEAKS))
        assert (ring.empty("alice"), ring.keys("bob").access) == (True, "AKIAALICE")
        with pytest.raises(Refused, match="uid 999 has no user name"):
            socket(Call("keys", HANDED, NOBODY_SPEAKS))

    def test_a_cycle_begins_for_new_ones_alone(self, socket, woken):
        for _ in range(2):
            socket(Call("keys", HANDED, ALICE_SPEAKS))
        assert woken == ["keys"]

    def test_how_they_stand_is_told(self, socket, ring):
        ring.need(["alice"], NOW)
        assert json.loads(socket(Call("keys", HANDED, ALICE_SPEAKS))) == {"lacking": None}
        ring.answered("alice", "AuthFailure")
        assert "AuthFailure" in json.loads(socket(Call("keys", HANDED, ALICE_SPEAKS)))["lacking"]

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"no json hush", b"[]", b"{}", b'"hush"',
            b'{"access": "AKIA"}', b'{"secret": "hush"}', b'{"keys": "hush"}',
            b'{"access": "AKIA", "secret": 7}', b'{"access": "AKIA", "secret": "two hushes"}',
            b'{"access": "AKIA", "secret": "hush", "missing": "x"}',
            b'{"access": "AKIA", "secret": "hush", "owner": "x"}',
        ],
    )  # fmt: skip
    def test_what_is_no_keys_is_refused_without_a_word_of_it(self, socket, recorded, body):
        with pytest.raises(BadRequest) as refusal:
            read_keys(body)
        assert "hush" not in f"{refusal.value}{refusal.value.__cause__}"
        with pytest.raises(BadRequest):
            socket(Call("keys", body, ALICE_SPEAKS))
        assert "hush" not in repr(recorded)

    def test_the_audit_log_has_who_handed_them_over_and_nothing_of_them(self, socket, recorded):
        socket(Call("keys", HANDED, ALICE_SPEAKS))
        [record] = recorded
        assert (record.what, record.who.user, record.outcome) == ("keys", "alice", "ok")
        assert record.asked is None

    def test_an_administrator_may_hand_over_only_their_own(self, socket, ring):
        socket(Call("keys", HANDED, ADMIN_SPEAKS))
        assert ring.empty("alice")


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.routes = {BY_OWNER.name: BY_OWNER}
    made.elsewhere = {ALICES: FakeCloud("alice"), BOBS: FakeCloud("bob")}
    made.alices, made.bobs = made.elsewhere.values()
    made.queue.groups = [group()]
    yield made
    made.journal.close()


def refuses(cloud):
    """AWS, from now on, the keys."""
    cloud.errors["instances"] = [NotPermitted("DescribeInstances: AuthFailure: not valid.")]


def test_without_keys_nothing_is_asked_of_aws_and_the_job_says_what_is_lacking(daemon):
    daemon.cycle()
    assert (daemon.alices.documents, daemon.cloud.documents) == ([], [])
    assert "alice's keys are not here; alice's next job or condor_annex command brings them" in daemon.last_said
    assert daemon.provisioner.standing.snapshot.regions == {}


def test_each_user_s_machines_are_asked_for_by_that_users_own_keys(daemon):
    daemon.queue.groups = [group(), group(key=BOB)]
    daemon.cycle()
    daemon.keyring.hand("alice", GOOD, NOW)
    daemon.cycle(after=MINUTE)
    assert [len(cloud.documents) for cloud in (daemon.alices, daemon.bobs, daemon.cloud)] == [1, 0, 0]
    daemon.keyring.hand("bob", OTHER, NOW)
    daemon.cycle(after=MINUTE)
    assert [len(cloud.documents) for cloud in (daemon.alices, daemon.bobs, daemon.cloud)] == [1, 1, 0]
    assert {annex.key: annex.place for annex in daemon.journal.annexes()} == {ALICE: ALICES, BOB: BOBS}


def test_the_route_is_looked_at_by_each_users_keys_before_the_first_launch(daemon):
    looked = []
    daemon.preflight = lambda route: looked.append(route.credentials) or []
    daemon.queue.groups = [group(), group(key=BOB)]
    daemon.keyring.hand("alice", GOOD, NOW)
    daemon.cycle()
    assert looked == ["owner alice"]


class TestAfterARestart:
    @pytest.fixture(autouse=True)
    def restarted(self, daemon):
        daemon.keyring.hand("alice", GOOD, NOW)
        daemon.cycle()
        daemon.life = daemon.journal.annexes()
        daemon.queue.groups = []
        daemon.restart()

    def said(self, daemon):
        [annex] = status(daemon.provisioner.standing, "alice", administrator=False)["annexes"]
        return annex["status"]

    def test_the_annex_keeps_its_lease_and_status_says_what_is_lacking(self, daemon):
        daemon.cycle(after=MINUTE)
        assert daemon.journal.annexes() == daemon.life
        assert "Nobody can look at its machines: alice's keys are not here" in self.said(daemon)
        assert self.said(daemon).endswith("Its lease stays as it is.")
        assert daemon.keyring.ask("alice", daemon.now)

    def test_nothing_is_ended_and_nothing_forgotten_until_they_are_here_again(self, daemon):
        daemon.cycle(after=timedelta(hours=9))
        assert (daemon.alices.cancelled, daemon.journal.annexes()) == ([], daemon.life)
        daemon.keyring.hand("alice", GOOD, daemon.now)
        daemon.cycle()
        assert len(daemon.alices.cancelled) == 1
        assert daemon.cloud.cancelled == []

    def test_the_annex_goes_on_when_they_are(self, daemon):
        daemon.cycle(after=MINUTE)
        daemon.keyring.hand("alice", GOOD, daemon.now)
        daemon.cycle(after=MINUTE)
        assert self.said(daemon) == "Annex blue: no job waits."


def test_keys_that_aws_does_not_take_cost_no_machine_and_are_said_until_good_ones_come(daemon):
    daemon.keyring.hand("alice", GOOD, NOW)
    daemon.cycle()
    before = daemon.journal.annexes()
    daemon.queue.groups = [group(idle=9)]
    refuses(daemon.alices)
    daemon.cycle(after=MINUTE)
    assert "AWS does not take alice's keys (DescribeInstances: AuthFailure: not valid); " in daemon.last_said
    assert (len(daemon.alices.documents), daemon.alices.cancelled, daemon.journal.annexes()) == (1, [], before)
    assert daemon.keyring.ask("alice", daemon.now)
    daemon.keyring.hand("alice", OTHER, daemon.now)
    daemon.cycle(after=5 * MINUTE)
    assert len(daemon.alices.documents) == 2
    assert daemon.keyring.lacking("alice") is None


def test_one_users_bad_keys_are_nobody_elses_trouble(daemon):
    daemon.queue.groups = [group(), group(key=BOB)]
    daemon.keyring.hand("alice", GOOD, NOW)
    daemon.keyring.hand("bob", OTHER, NOW)
    refuses(daemon.alices)
    daemon.cycle()
    assert [len(cloud.documents) for cloud in (daemon.alices, daemon.bobs)] == [0, 1]


def test_an_account_of_a_users_own_says_nothing_about_others():
    of_bob, of_alice = carried(BOB), carried()
    shown = RegionView([instance(tags=of_bob), instance("i-2", tags=of_alice)], [fleet(tags=of_bob)])
    seen = once({ALICES: shown}, [])
    assert [each.tags[tags.OWNER] for each in (*seen[ALICES].instances, *seen[ALICES].fleets)] == ["alice"]


def test_nor_do_its_strangers_become_others_annexes(daemon):
    daemon.keyring.hand("alice", GOOD, NOW)
    daemon.alices.listed_instances = [instance("i-9", tags=carried(BOB))]
    daemon.queue.groups = [group()]
    for _ in range(3):
        daemon.cycle(after=5 * MINUTE)
    assert [annex.key for annex in daemon.journal.annexes()] == [ALICE]
    assert len(daemon.alices.documents) == 1


class TestByHand:
    """What is asked of an annex whose owner's keys are not here."""

    @pytest.fixture
    def desk(self, tmp_path):
        made = Desk(tmp_path)
        made.ring = KeyRing()
        made.commands._keys = key_desk(made.ring, [BY_OWNER], clock=lambda: made.now)
        made.journal.begin(annex(credentials="owner alice"))
        made.seen = snapshot(routes={BY_OWNER.name: BY_OWNER}, regions={})
        yield made
        made.journal.close()

    def test_an_extension_that_nobody_could_write_to_aws_is_refused(self, desk):
        before = desk.journal.annexes()
        with pytest.raises(Refused, match="the lease of annex blue stays as it is, for alice's keys are not here"):
            desk.ask("extend", name="blue", lifetime_s=36000)
        assert desk.journal.annexes() == before

    def test_an_end_is_kept_and_says_that_it_waits(self, desk):
        [done] = desk.ask("end", name="blue", now=True)["done"]
        assert "is ended at once; not before AWS can be asked, for alice's keys are not here" in done
        assert desk.journal.annexes()[0].ending

    def test_with_the_keys_both_are_done(self, desk):
        desk.ring.hand("alice", GOOD, NOW)
        [extended] = desk.ask("extend", name="blue", lifetime_s=36000)["done"]
        assert "the lease of annex blue ends at" in extended
        [ended] = desk.ask("end", name="blue", now=True)["done"]
        assert ended.endswith("is ended at once")

    def test_a_create_by_an_administrator_for_somebody_without_keys_says_who_has_to_bring_them(self, desk):
        with pytest.raises(Refused, match="route spot goes by its users' own keys: bob's keys are not here"):
            desk.ask("create", ADMIN_SPEAKS, name="red", owner="bob")

    def test_an_annex_for_anybody_has_no_owner_whose_keys_could_pay(self, desk):
        with pytest.raises(Refused, match="an annex for anybody's jobs has none"):
            desk.ask("create", ADMIN_SPEAKS, name="red", any_owner=True)
