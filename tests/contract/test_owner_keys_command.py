"""Commands of a user whose keys condor_annexd asks for: read as that user, handed over, and the command goes on."""

from dataclasses import replace

import pytest

from annex_core.adapters import old_knobs
from annex_core.adapters.server import Peer
from annex_core.cli import create
from annex_core.cli.main import main
from annex_core.daemon.keyring import KeyRing
from annex_core.model.annex import LaunchState
from annex_core.model.keys import Keys
from tests.contract.test_commands_by_hand import BLUE, Daemon
from tests.unit.fakes import key_desk
from tests.unit.world import ROUTE, snapshot

BY_OWNER = replace(ROUTE, credentials="owner")


class AtAws(KeyRing):
    """AWS takes good keys as soon as they are handed over, and the daemon sees the machines of that account."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon, self.site, self.handed = daemon, daemon.seen, []

    def hand(self, owner, keys, now):
        self.handed.append((owner, keys))
        new = super().hand(owner, keys, now)
        self.answered(owner, None if keys.access == "AKIAGOOD" else "AuthFailure: not valid")
        place = BY_OWNER.of(owner).place
        self.daemon.seen = snapshot(
            routes={BY_OWNER.name: BY_OWNER},
            regions={place: self.site.regions[ROUTE.place]},
            types={place: self.site.types[ROUTE.place]},
            signs={place: self.site.signs[ROUTE.place]},
        )
        return new


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "annexd.sock"))
    monkeypatch.setattr(create, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(old_knobs, "dumped", lambda _: "")
    monkeypatch.setattr(Peer, "name", "alice")  # whoever runs the tests
    made = Daemon(tmp_path)
    made.aws = LaunchState.REQUESTED
    made.seen = replace(made.seen, routes={BY_OWNER.name: BY_OWNER})
    made.ring = AtAws(made)
    desk = key_desk(made.ring, [BY_OWNER], clock=lambda: made.now)
    desk._files = (str(tmp_path / "publicKeyFile"), str(tmp_path / "privateKeyFile"))
    made.commands._keys = made.server._answer._keys = desk
    with made.server:
        yield made
    made.journal.close()


@pytest.fixture
def files(tmp_path):
    def write(access="AKIAGOOD", secret="hush", mode=0o600, folder=tmp_path):
        for name, key in (("publicKeyFile", access), ("privateKeyFile", secret)):
            (folder / name).write_text(key)
            (folder / name).chmod(mode)
        return str(folder / "publicKeyFile"), str(folder / "privateKeyFile")

    return write


def test_a_create_hands_them_over_and_rents(daemon, files, capsys):
    files()
    assert main(["create", *BLUE, "-yes"]) == 0
    assert [keys for _, keys in daemon.ring.handed] == [Keys("AKIAGOOD", "hush")]
    [annex] = daemon.journal.annexes()
    assert annex.credentials == "owner alice"
    printed = capsys.readouterr()
    assert "hush" not in printed.out + printed.err


def test_keys_that_others_can_read_are_not_handed_over_and_nothing_is_rented(daemon, files, capsys):
    access, _ = files(mode=0o644)
    assert main(["create", *BLUE, "-yes"]) == 1
    assert f"{access} may be read by others; run: chmod 600" in capsys.readouterr().err
    assert (daemon.ring.handed, daemon.orders()) == ([], ())


def test_keys_that_aws_does_not_take_are_said_and_nothing_is_rented(daemon, files, capsys):
    files(access="AKIABAD")
    assert main(["create", *BLUE, "-yes"]) == 1
    said = capsys.readouterr().err
    assert "AWS does not take" in said
    assert "AuthFailure: not valid" in said
    assert "AKIABAD" not in said
    assert daemon.orders() == ()


def test_status_hands_them_over_when_something_of_the_users_needs_them(daemon, files):
    files()
    assert main(["status"]) == 0
    assert daemon.ring.handed == []
    main(["create", *BLUE, "-yes"])
    daemon.ring._rings.clear()  # condor_annexd was started anew, and the annex lives
    [annex] = daemon.journal.annexes()
    daemon.ring.need([annex.key.owner], daemon.now)
    assert main(["status"]) == 0
    assert len(daemon.ring.handed) == 2


def test_a_users_own_knobs_name_other_files(daemon, files, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    access, secret = files(folder=elsewhere)
    dump = f"ANNEX_DEFAULT_ACCESS_KEY_FILE = {access}\n # at: ~/.condor/user_config, line 1\n"
    dump += f"ANNEX_DEFAULT_SECRET_KEY_FILE = {secret}\n # at: ~/.condor/user_config, line 2\n"
    monkeypatch.setattr(old_knobs, "dumped", lambda _: dump)
    assert main(["create", *BLUE, "-yes"]) == 0


@pytest.mark.parametrize(
    ("more", "knobs"),
    [(["-region", ROUTE.region], {}), ([], {"ANNEX_DEFAULT_AWS_REGION": ROUTE.region})],
    ids=["of the command", "of the knobs"],
)
def test_a_regions_own_knobs_name_other_files(daemon, files, monkeypatch, tmp_path, more, knobs):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    access, secret = files(folder=elsewhere)
    before = ROUTE.region.replace("-", "_")
    knobs = knobs | {
        "ANNEX_DEFAULT_ACCESS_KEY_FILE": "/nowhere",
        "ANNEX_DEFAULT_SECRET_KEY_FILE": "/nowhere",
        f"{before}.ANNEX_DEFAULT_ACCESS_KEY_FILE": access,
        f"{before}.ANNEX_DEFAULT_SECRET_KEY_FILE": secret,
    }
    dump = "".join(f"{name} = {value}\n # at: ~/.condor/user_config, line 1\n" for name, value in knobs.items())
    monkeypatch.setattr(old_knobs, "dumped", lambda _: dump)
    assert main(["create", *BLUE, *more, "-yes"]) == 0
    assert [keys for _, keys in daemon.ring.handed] == [Keys("AKIAGOOD", "hush")]


OLD = ("-annex-name", "blue", "-count", "1", "-aws-on-demand-instance-type", "c5.large", "-yes")


def test_the_withdrawn_tools_options_name_them_for_a_create(daemon, files, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    access, secret = files(folder=elsewhere)
    main([*OLD, "-aws-access-key-file", access, "-aws-secret-key-file", secret])
    assert [keys for _, keys in daemon.ring.handed] == [Keys("AKIAGOOD", "hush")]


def test_where_the_route_goes_by_the_sites_credentials_they_are_refused(daemon, files, capsys):
    daemon.commands._keys._routes = lambda: {ROUTE.name: ROUTE}
    access, secret = files()
    assert main([*OLD, "-aws-access-key-file", access, "-aws-secret-key-file", secret]) == 1
    assert "goes by its users' own keys" in capsys.readouterr().err
    assert (daemon.ring.handed, daemon.orders()) == ([], ())
