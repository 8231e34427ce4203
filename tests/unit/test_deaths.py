"""What died, and of what: nothing that never joined goes without its last words."""

import re
from datetime import timedelta

import pytest

from annex_core.adapters.journal import Journal
from annex_core.errors import NotPermitted, Unavailable
from annex_core.model.death import BOOT_LOG_KEPT, CONSOLE_KEPT, Death, printed
from annex_core.model.supply import InstanceState
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, annex, carried, group, instance, slot

WORDS = """\
[    1.000] Linux version 6.1
2026-11-21T11:50:00Z annex: booting; the lease ends 2026-11-21T19:00:00Z
curl: (22) The requested URL returned error: 403
2026-11-21T11:55:00Z annex: powering off: no bundle after 300 s
"""
LATE = timedelta(minutes=25)
TOKEN = "eyJhbGciOiJIUzI1NiIsImtpZCI6IlBPT0wifQ.eyJleHAiOjE3NjM3MjE0MDB9.c2lnbmF0dXJl"
URL = "https://b.s3.us-east-2.amazonaws.com/config-x.tar.gz?X-Amz-Algorithm=AWS4&X-Amz-Signature=5f00ba"


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    made.cycle()
    boot(made)
    yield made
    made.journal.close()


def boot(daemon, name="i-1"):
    """A machine of the annex boots now; the next cycle sees it."""
    (life,) = daemon.journal.annexes()
    daemon.cloud.listed_instances.append(instance(name, launched=daemon.now, tags=carried(of=life)))
    daemon.cloud.consoles[name] = WORDS
    daemon.cycle()


def kept(daemon):
    return daemon.journal.deaths(daemon.journal.annexes())


def test_what_a_machine_printed_is_kept_before_it_is_ended_for_not_joining(daemon):
    daemon.cycle(after=LATE)
    assert daemon.cloud.terminated == ["i-1"]
    (death,) = kept(daemon)
    assert death.instance == "i-1"
    assert "not joined within" in death.reason
    assert "no bundle after 300 s" in death.boot_log
    assert "Linux version" in death.console


def test_a_machine_that_aws_still_shows_is_asked_to_end_again_a_minute_later_and_not_at_each_look(daemon):
    asked = []
    daemon.cloud.terminate = lambda ids: asked.extend(ids) or {}
    daemon.cycle(after=LATE)
    for _ in range(5):
        daemon.cycle(after=timedelta(seconds=5))
    assert asked == ["i-1"]
    daemon.cycle(after=timedelta(minutes=1))
    assert asked == ["i-1", "i-1"]


def test_one_that_could_not_be_asked_for_is_asked_for_at_the_next_look(daemon):
    daemon.cloud.errors["terminate"] = [Unavailable("no answer")]
    daemon.cycle(after=LATE)
    assert daemon.cloud.terminated == []
    daemon.cycle(after=timedelta(seconds=5))
    assert daemon.cloud.terminated == ["i-1"]


def test_a_console_that_can_not_be_read_keeps_no_machine_alive_and_the_reason_is_told(daemon):
    daemon.cloud.errors["console"] = [NotPermitted("not allowed to call GetConsoleOutput")]
    daemon.cycle(after=LATE)
    assert daemon.cloud.terminated == ["i-1"]
    assert "not allowed to call GetConsoleOutput" in kept(daemon)[0].console


def test_of_a_machine_that_ended_by_itself_aws_is_asked_why(daemon):
    daemon.cloud.listed_instances.clear()
    daemon.cloud.reasons["i-1"] = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
    daemon.cycle(after=timedelta(minutes=6))
    (death,) = kept(daemon)
    assert death.reason == "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
    assert "no bundle after 300 s" in death.boot_log


def test_it_is_asked_again_while_aws_does_not_answer(daemon):
    daemon.cloud.listed_instances.clear()
    daemon.cloud.reasons["i-1"] = "Server.SpotInstanceTermination: Spot instance termination"
    daemon.cloud.errors["state_reasons"] = [Unavailable("no answer")]
    daemon.cycle(after=timedelta(minutes=6))
    assert kept(daemon) == ()
    daemon.cycle(after=timedelta(minutes=1))
    assert [death.reason for death in kept(daemon)] == ["Server.SpotInstanceTermination: Spot instance termination"]


def test_what_was_told_once_is_not_asked_again(daemon):
    daemon.cycle(after=LATE)
    (first,) = kept(daemon)
    daemon.cloud.consoles["i-1"] = "something else"
    daemon.cloud.reasons["i-1"] = "something else"
    daemon.cycle(after=timedelta(minutes=1))
    assert kept(daemon) == (first,)


def test_a_machine_that_had_joined_leaves_nothing(daemon):
    daemon.slots.advertised = [slot()]
    daemon.cycle(after=timedelta(minutes=1))
    daemon.slots.advertised, daemon.cloud.listed_instances = [], []
    daemon.cloud.reasons["i-1"] = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
    daemon.cycle(after=timedelta(minutes=1))
    assert kept(daemon) == ()


def test_a_machine_that_is_only_on_its_way_out_is_asked_too(daemon):
    (booted,) = daemon.cloud.listed_instances
    daemon.cloud.listed_instances = [
        instance("i-1", launched=booted.launched, tags=booted.tags, state=InstanceState.SHUTTING_DOWN)
    ]
    daemon.cloud.reasons["i-1"] = "Server.InternalError: Client error on launch"
    daemon.cycle(after=timedelta(minutes=1))
    assert [death.reason for death in kept(daemon)] == ["Server.InternalError: Client error on launch"]


def test_no_signed_url_token_or_key_is_kept():
    said = f"got {URL}\ntoken={TOKEN}\nAWS_SECRET_ACCESS_KEY=abc/def+ghi\nAKIAIOSFODNN7EXAMPLE\nannex: {URL} {TOKEN}\n"
    for text in printed(said):
        assert not re.search("5f00ba|c2lnbmF0dXJl|abc/def|AKIAIOSF", text)
    assert "https://b.s3.us-east-2.amazonaws.com/config-x.tar.gz?[signature left out]" in printed(said)[0]


def test_nothing_that_a_terminal_would_obey_is_kept():
    assert printed("\x1b[31mred\x1b[0m \x1b]0;title\x07ok\x00\r\nnext\rlast") == ("", "red ok\nnext\nlast")


def test_no_more_than_the_end_is_kept_in_whole_lines():
    boot_log, console = printed("".join(f"annex: line {number}\n" for number in range(5000)))
    assert CONSOLE_KEPT - 40 < len(console) <= CONSOLE_KEPT
    assert BOOT_LOG_KEPT - 40 < len(boot_log) <= BOOT_LOG_KEPT
    assert console.startswith("annex: line ")
    assert boot_log.endswith("annex: line 4999")


def test_of_an_annex_the_newest_fifty_stay(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    journal.begin(annex())
    for number in range(60):
        journal.keep_death(Death(f"i-{number}", annex().id, NOW + timedelta(seconds=number), "why"))
    kept = journal.deaths([annex()])
    journal.close()
    assert [death.instance for death in kept] == [f"i-{number}" for number in range(10, 60)]
