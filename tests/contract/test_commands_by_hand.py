"""create, extend, end, destroy, freeze, thaw as they are typed, over a real socket: what they print and exit with."""

import io
import json
import socket
import threading
import time

import pytest

from annex_core.adapters.requests import read
from annex_core.adapters.schemas import schema
from annex_core.adapters.server import Server
from annex_core.cli import asking_daemon, create, steering
from annex_core.cli.main import main
from annex_core.daemon.answering import Answers
from annex_core.daemon.foresight import Foresight
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.status import status
from annex_core.errors import Unavailable
from annex_core.model.annex import LaunchState, Obstacle
from annex_core.model.plan import LaunchFleet
from annex_core.planner.plan import plan
from tests.unit.fakes import key_desk
from tests.unit.fleet_files import with_specification
from tests.unit.test_commands import Desk
from tests.unit.world import ALICE, DOMAIN, NOW, annex, instance, snapshot

BLUE = ("blue", "-owner", "alice")


class Daemon(Desk):
    """A daemon's socket, and as much of its cycle as a create waits for. Whoever runs the tests is an administrator."""

    aws = None
    """What AWS does with a launch: a state of it, or None as long as it does not answer."""

    def __init__(self, folder):
        super().__init__(folder)
        self.commands._administrators = Everybody()
        self.server = Server(
            folder / "annexd.sock",
            Answers(
                hearsay=Hearsay(),
                outlook=lambda key: None,
                status=lambda owner, administrator: status(
                    self.commands.standing(), owner, administrator=administrator
                ),
                costs=lambda owner: {},
                command=self.commands,
                foresee=Foresight(
                    standing=self.commands.standing, expect=None, domain=DOMAIN, administrators=Everybody()
                ),
                keys=key_desk(),
                administrators=Everybody(),
                wake=self._wake,
                audit=lambda record: None,
                clock=lambda: self.now,
            ),
        )

    def _wake(self):
        """The cycle, at once."""
        super()._wake()
        world = self.commands._snapshot()
        for number, action in enumerate(plan(world).actions):
            if isinstance(action, LaunchFleet) and self.aws:
                made = action.as_launch(f"t{self.woken}-{number}", self.now)
                self.journal.intend(made, "{}")
                said = {"reason": "the quota is 5 vCPUs", "obstacle": Obstacle.QUOTA}
                self.journal.settle(
                    made.token, self.aws, fleet="sfr-1", **(said if self.aws is LaunchState.REFUSED else {})
                )


class Everybody:
    def __contains__(self, _):
        return True


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "annexd.sock"))
    monkeypatch.setattr(create, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(create, "_PAUSE_S", 0.05)
    monkeypatch.setattr(steering, "_GONE_WITHIN_S", 1.0)
    monkeypatch.setattr(steering, "_PAUSE_S", 0.05)
    made = Daemon(tmp_path)
    with made.server:
        yield made
    made.journal.close()


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


# create


def test_a_create_shows_what_it_rents_and_at_what_price_at_most_and_waits_for_aws(daemon, capsys):
    daemon.aws = LaunchState.REQUESTED
    assert main(["create", *BLUE, "-instances", "3", "-instance-types", "c5.large", "-yes"]) == 0
    said = capsys.readouterr().out
    for words in ("3 machines (spot): c5.large", "in us-east-2, by route spot", "at most $0.2", "AWS has taken"):
        assert words in said
    assert [each.instances for each in daemon.orders()] == [3]


def test_a_daemon_that_has_only_just_started_is_waited_for(daemon):
    looked = daemon.commands._standing
    daemon.commands._standing = lambda: None
    threading.Timer(0.5, lambda: setattr(daemon.commands, "_standing", looked)).start()
    assert main(["create", *BLUE, "-yes", "-no-wait"]) == 0
    assert len(daemon.orders()) == 1


def test_but_not_for_ever(daemon, monkeypatch, capsys):
    monkeypatch.setattr(asking_daemon, "_FIRST_LOOK_S", 0.5)
    daemon.commands._standing = lambda: None
    assert main(["extend", "blue", "-duration", "1h"]) == 1
    assert "only just started" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "ordered"), [("y\n", 1), ("n\n", 0), ("\n", 0), ("", 0)])
def test_without_yes_it_asks_and_only_a_yes_rents(daemon, monkeypatch, answer, ordered):
    typed(monkeypatch, answer)
    assert main(["create", *BLUE, "-no-wait"]) == (0 if ordered else 1)
    assert len(daemon.orders()) == ordered


def test_where_nobody_can_answer_it_says_how_to_do_without(daemon, monkeypatch, capsys):
    typed(monkeypatch, "")
    assert main(["create", *BLUE]) == 1
    assert "-yes doesn't ask" in capsys.readouterr().err


def test_what_aws_refuses_is_a_failure_with_its_reason(daemon, capsys):
    daemon.aws = LaunchState.REFUSED
    assert main(["create", *BLUE, "-yes"]) == 1
    assert "AWS refused it: the quota is 5 vCPUs" in capsys.readouterr().err


def test_an_aws_that_does_not_answer_is_a_failure_and_the_order_stays(daemon, capsys):
    assert main(["create", *BLUE, "-yes"]) == 1
    assert "it stays ordered" in capsys.readouterr().err
    assert len(daemon.orders()) == 1


def test_what_the_caps_don_t_allow_is_refused_before_anything_is_asked(daemon, capsys, monkeypatch):
    typed(monkeypatch, "y\n")
    assert main(["create", *BLUE, "-instances", "11"]) == 1
    assert "the cap of 10 machines is reached" in capsys.readouterr().err
    assert daemon.orders() == ()


def test_a_client_that_is_gone_between_question_and_answer_leaves_nothing(daemon, monkeypatch):
    class Interrupted(io.StringIO):
        def readline(self):
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    assert main(["create", *BLUE]) == 130
    assert daemon.journal.annexes() == ()


SENSELESS = [
    [],
    ["a_b"],
    ["blue", "-instances"],
    ["blue", "-instances", "many"],
    ["blue", "-instances", "0"],
    ["blue", "-instances", "2", "-slots", "4"],
    ["blue", "-duration", "2h", "-until", "2026-12-01"],
    ["blue", "-duration", "soon"],
    ["blue", "-until", "tomorrow"],
    ["blue", "-tag", "nothing"],
    ["blue", "-tag", "Cost Center=1"],
    ["blue", "-market", "black"],
    ["blue", "-max-price", "cheap"],
    ["blue", "-max-price", "0.1,0.2"],
    ["blue", "-max-price", "c5=0.1"],
    ["blue", "-fleet-api", "run-instances"],
    ["blue", "-owner", "alice", "-no-owner"],
    ["blue", "-fleet-config", "/nowhere"],
    ["blue", "-fleet-config", "/dev/null"],
    ["blue", "-user-data", "/nowhere"],
    ["blue", "-default-user-data", "/tmp"],
    ["blue", "-n"],
    ["blue", "-config-dir", "/nowhere"],
    ["blue", "-config-dir", "/dev/null"],
    ["blue", "green"],
    ["blue", "-instances", "1", "-instances", "2"],
]


@pytest.mark.parametrize("arguments", SENSELESS, ids=" ".join)
def test_a_command_line_that_makes_no_sense_is_told_so_and_rents_nothing(daemon, capsys, arguments):
    try:
        code = main(["create", *arguments, "-yes", "-no-wait"])
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert capsys.readouterr().err
    assert daemon.orders() == ()


@pytest.mark.parametrize(("name", "content"), [("10-large", b"#" * (2 << 20)), ("50 spaces", b""), ("inner/x", b"")])
def test_files_that_can_not_be_sent_are_named_and_nothing_is_rented(daemon, capsys, tmp_path, name, content):
    file = tmp_path / "conf" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert main(["create", "blue", "-config-dir", str(tmp_path / "conf"), "-yes"]) == 2
    assert name.split("/")[0] in capsys.readouterr().err
    assert daemon.orders() == ()


def test_the_files_of_a_directory_go_along(daemon, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "10-mine").write_text("A = 1")
    assert main(["create", *BLUE, "-config-dir", str(tmp_path / "conf"), "-yes", "-no-wait"]) == 0
    assert daemon.annex().overrides["config_files"] == {"10-mine": "QSA9IDE="}


@pytest.fixture
def sent(monkeypatch):
    """What create asks the daemon for."""
    documents = []

    def ask(verb, document):
        documents.append(document)
        raise Unavailable("enough")

    monkeypatch.setattr(create, "ask", ask)
    return lambda *typed: (main(["create", "blue", *typed]), documents[-1])[1]


def test_all_that_a_request_can_say_create_can_say_too(sent, tmp_path, monkeypatch):
    files = {"conf": "A = 1", "fleet": '{"Type": "request"}', "boot": "#!/bin/sh\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    typed = {
        "route": ["-route", "spot"],
        "project": ["-project", "photons"],
        "instances": ["-instances", "3"],
        "slots": ["-slots", "8"],
        "lease_ends": ["-until", "2030-01-01T00:00:00Z"],
        "lifetime_s": ["-duration", "2h"],
        "idle_s": ["-idle", "5m"],
        "owner": ["-owner", "bob"],
        "any_owner": ["-no-owner"],
        "market": ["-market", "on-demand"],
        "fleet_api": ["-fleet-api", "ec2-fleet"],
        "instance_types": ["-instance-types", "c5.large,m5.large"],
        "tags": ["-tag", "team=a=b"],
        "config_files": ["-config-dir", "conf"],
        "max_price_usd": ["-max-price", "0.25,c5.large=0.1"],
        "region": ["-region", "us-east-2"],
        "image": ["-image", "ami-0abc"],
        "subnets": ["-subnets", "subnet-1,subnet-2"],
        "security_groups": ["-security-groups", "sg-1"],
        "key_name": ["-key-name", "site"],
        "instance_profile": ["-instance-profile", "annex"],
        "user_data": ["-user-data", "boot"],
        "default_user_data": ["-default-user-data", "boot"],
        "fleet_config": ["-fleet-config", "fleet"],
        "pilot": ["-pilot"],
    }
    of_old_command_lines = {"by_default"}  # whose knobs create does not read
    assert {*typed, "name", "dry_run"} | of_old_command_lines == {*schema("request")["$defs"]["create"]["properties"]}
    said = {name: sent(*words)[name] for name, words in typed.items()}
    assert said["max_price_usd"] == {"*": "0.25", "c5.large": "0.1"}
    assert (said["fleet_config"], said["user_data"]) == ({"Type": "request"}, "#!/bin/sh\n")
    assert (said["tags"], said["any_owner"], said["pilot"]) == ({"team": "a=b"}, True, True)
    for name, value in said.items():
        read("create", json.dumps({"name": "blue", name: value}).encode())


def test_a_dry_run_shows_what_would_be_rented_and_rents_nothing(daemon, capsys):
    assert main(["create", *BLUE, "-instances", "2", "-dry-run"]) == 0
    assert "2 machines (spot)" in capsys.readouterr().out
    assert daemon.orders() == ()
    assert main(["create", *BLUE, "-instances", "200", "-dry-run"]) == 1


def test_a_fleet_file_that_a_create_names_decides_what_is_rented(daemon, tmp_path, capsys):
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(with_specification()))
    assert main(["create", *BLUE, "-slots", "2", "-fleet-config", str(file), "-yes", "-no-wait"]) == 0
    (order,) = daemon.orders()
    assert order.overrides["fleet_config"]["LaunchSpecifications"]
    assert "note: " in capsys.readouterr().out


# extend, end, freeze


@pytest.fixture
def living(daemon):
    daemon.journal.begin(annex())
    daemon.seen = snapshot(annexes={ALICE: annex()})
    return daemon


def test_extending_says_when_the_lease_ends_now(living, capsys):
    assert main(["extend", *BLUE, "-until", "2026-11-21T23:00:00Z"]) == 0
    assert capsys.readouterr().out == "The lease of annex blue ends at 2026-11-21T23:00:00Z.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["extend", "green", "-duration", "1h"],
        ["extend", *BLUE, "-duration", "400d"],
        ["end", "green"],
        ["thaw", "green"],
        ["destroy", "green"],
    ],
    ids=" ".join,
)
def test_what_can_not_be_done_is_a_failure_with_a_sentence(living, capsys, arguments):
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"condor_annex {arguments[0]}: ")


@pytest.mark.parametrize(
    "arguments",
    [["extend", "blue"], ["extend"], ["end"], ["end", "blue", "-all"], ["freeze"], ["freeze", "blue", "-all"]],
    ids=" ".join,
)
def test_half_a_command_line_is_a_senseless_one(living, arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


@pytest.mark.parametrize(("answer", "ended"), [("y\n", True), ("n\n", False)])
def test_everybodys_annexes_are_ended_after_a_yes_alone(living, monkeypatch, answer, ended):
    typed(monkeypatch, answer)
    assert main(["end", "-all", "-now"]) == (0 if ended else 1)
    assert bool(living.annex().ending) is ended


def test_off_is_another_word_for_end(living, capsys):
    assert main(["off", *BLUE]) == 0
    assert "Annex blue of alice gets no new job" in capsys.readouterr().out


@pytest.mark.parametrize("what", [["-annex", *BLUE], [*BLUE], ["-project", "physics"], ["-all"]], ids=" ".join)
def test_what_is_frozen_is_thawed_by_the_same_words(living, what):
    assert main(["thaw", *what]) == 1
    assert main(["freeze", *what]) == 0
    assert len(living.book.freezes()) == 1
    assert main(["thaw", *what]) == 0
    assert living.book.freezes() == ()


# destroy


def finishing(daemon, *, after_s=0.2):
    """The daemon is done with the annex a little later."""

    def finish():
        time.sleep(after_s)
        daemon.journal.finish(annex(), NOW)

    thread = threading.Thread(target=finish)
    thread.start()
    return thread


def test_destroying_waits_until_aws_shows_nothing_of_it(living, capsys):
    living.now = replace_year(living.now)
    thread = finishing(living)
    assert main(["destroy", *BLUE, "-verify"]) == 0
    thread.join()
    assert "AWS shows nothing any more that carries the tags of annex blue" in capsys.readouterr().out


def test_what_is_left_is_named_and_a_failure(living, capsys):
    living.now = replace_year(living.now)
    living.cloud.listed_instances = [instance("i-7")]
    thread = finishing(living)
    assert main(["destroy", *BLUE, "-verify"]) == 1
    thread.join()
    assert "this is left: i-7 (running) in us-east-2" in capsys.readouterr().err


def test_an_aws_that_can_not_be_asked_is_no_proof(living, capsys):
    living.cloud.errors["remains"] = [Unavailable("AWS is away")]
    assert main(["destroy", *BLUE, "-verify"]) == 1
    assert "AWS is away" in capsys.readouterr().err


def replace_year(moment):
    """Ahead of the clock of whoever runs the tests, by which the command knows a fresh answer."""
    return moment.replace(year=moment.year + 50)


# no daemon


@pytest.mark.parametrize("verb", [["status"], ["create", "blue"], ["end", "blue"]])
def test_where_no_daemon_runs_it_says_what_starts_it_and_where_its_log_is(tmp_path, monkeypatch, capsys, verb):
    knobs = tmp_path / "condor_config_val"
    knobs.write_text('#!/bin/sh\n[ "$1" = ANNEXD_LOG ] && echo /var/log/condor/AnnexdLog\n')
    knobs.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "annexd.sock"))
    assert main(verb) == 1
    said = capsys.readouterr().err
    assert "condor_on -daemon ANNEXD starts it, and /var/log/condor/AnnexdLog says why it ended" in said


def test_where_the_daemon_hangs_it_says_how_to_begin_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(asking_daemon, "_DEADLINE_S", 0.2)
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "annexd.sock"))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "annexd.sock"))
        deaf.listen()
        assert main(["status"]) == 1
    assert "condor_off -daemon ANNEXD and then condor_on -daemon ANNEXD begin anew" in capsys.readouterr().err
