"""Who listens where a collector should, by what they say; a real collector's answers are in tests/pool."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annex_core.adapters.routes import Configured
from annex_core.cli import check_connectivity, main
from annex_core.connectivity import advice, probe
from annex_core.connectivity.addresses import Address
from annex_core.connectivity.answer import Answer, Verdict
from annex_core.errors import AnnexError, NotPermitted

Listener = Callable[..., int]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """listener(ANSWER, HOST) -> the port of one who reads a little, says that and closes; None: says nothing at all."""
    stop = threading.Event()
    open_ones: list[tuple[socket.socket, threading.Thread]] = []

    def serve(server: socket.socket, says: bytes | None) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(64 * 1024)
            if says is None:
                stop.wait(10)
            else:
                connection.sendall(says)

    def start(says: bytes | None, host: str = "127.0.0.1") -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, 0), family=family)
        thread = threading.Thread(target=serve, args=(server, says))
        thread.start()
        open_ones.append((server, thread))
        return int(server.getsockname()[1])

    yield start
    stop.set()
    for server, thread in open_ones:
        thread.join()
        server.close()


def ad(*lines: str) -> bytes:
    content = struct.pack(">q", len(lines)) + b"".join(line.encode() + b"\0" for line in (*lines, "", ""))
    return struct.pack(">BI", 1, len(content)) + content


def ask(port: int, *, host: str = "127.0.0.1", sock: str | None = None, patience_s: float = 5) -> Answer:
    return probe.ask(Address(host, port, sock), "pool.test", patience_s=patience_s)


COLLECTOR = ad('TrustDomain = "pool.test"', 'RemoteVersion = "$CondorVersion: 23.9.6 2026-07-12 $"', "X = true")


def test_the_pools_collector_is_known_by_its_trust_domain(listener: Listener) -> None:
    answer = ask(listener(COLLECTOR))
    assert (answer.verdict, answer.version) == (Verdict.COLLECTOR, "23.9.6")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
def test_an_ipv6_address_is_asked_as_any_other(listener: Listener) -> None:
    answer = ask(listener(COLLECTOR, "::1"), host="::1")
    assert (answer.verdict, answer.reached) == (Verdict.COLLECTOR, "::1")


def test_another_pools_is_not_it(listener: Listener) -> None:
    answer = ask(listener(ad('TrustDomain = "elsewhere"')))
    assert (answer.verdict, answer.trust_domain) == (Verdict.OTHER_POOL, "elsewhere")
    assert "TRUST_DOMAIN" in str(advice.cure(answer, "pool.test"))


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        COLLECTOR[:40],
        ad("X = true"),
        b"\1\xff\xff\xff\xff" + b"x" * 100,
        None,
    ],
    ids=["closes", "ssh", "http", "ends too early", "knows no trust domain", "promises 4 GB", "never answers"],
)
def test_what_is_no_collector_is_not_taken_for_one(listener: Listener, says: bytes | None) -> None:
    assert ask(listener(says), patience_s=0.5).verdict is Verdict.NO_COLLECTOR


def test_a_name_is_tried_by_each_of_its_addresses(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    port = listener(COLLECTOR)
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    answer = ask(port, host="ap.example.org")
    assert (answer.verdict, answer.reached) == (Verdict.COLLECTOR, "127.0.0.1")


def test_a_name_without_an_address_is_told_from_a_port_without_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ask(port).verdict is Verdict.REFUSED
    assert ask(port, host="no-such-host.invalid").verdict is Verdict.NO_SUCH_NAME


def test_where_nothing_answers_the_way_to_open_is_named(listener: Listener) -> None:
    answer = Answer(Address("ap.example.org", 9619), Verdict.SILENT, "192.0.2.7")
    assert advice.line(answer) == "ap.example.org:9619 (192.0.2.7): nothing answers"
    assert "TCP to ap.example.org, port 9619" in str(advice.cure(answer, "pool.test"))


@pytest.mark.parametrize(
    ("ip", "doubt"),
    [
        ("127.0.0.1", "in the cloud that is each machine itself"),
        ("10.1.2.3", "a private address"),
        ("fd00::1", "a private address"),
        ("fe80::1", "not routed"),
        ("8.8.8.8", None),
    ],
)
def test_an_answer_from_here_is_no_proof_for_addresses_that_mean_something_else_there(
    ip: str, doubt: str | None
) -> None:
    told = advice.doubts([Answer(Address("ap"), Verdict.COLLECTOR, ip, "pool.test")])
    assert [each for each in told if doubt and doubt in each] == told


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "annex_core.cli.check_connectivity.htcondor2.param",
            {"TRUST_DOMAIN": "pool.test", "ANNEX_COLLECTOR_HOST": "ap:no-port"},
        )
        self.asked: list[str] = []
        self.inside: list[Answer] | None = None
        self.error: AnnexError | None = None
        monkeypatch.setattr(check_connectivity, "prober", lambda region, *_: self.asked.append(region.region) or self)
        monkeypatch.setattr(check_connectivity, "configured", lambda: Configured((), (), (), {}))

    def ask(self) -> list[Answer] | None:
        """As the function inside the account."""
        if self.error:
            raise self.error
        return self.inside

    def test_it_says_who_answers_and_what_that_proves(
        self, listener: Listener, capsys: pytest.CaptureFixture[str]
    ) -> None:
        port = listener(COLLECTOR)
        assert main.main(["check-connectivity", f"127.0.0.1:{port}"]) == 0
        said = capsys.readouterr().out
        assert f"127.0.0.1:{port}: a collector answers, HTCondor 23.9.6 of pool.test\n" in said
        assert "in the cloud that is each machine itself" in said
        assert "Asked from this machine:" in said

    def test_the_function_in_each_region_is_asked_too(
        self, listener: Listener, capsys: pytest.CaptureFixture[str]
    ) -> None:
        port = listener(COLLECTOR)
        self.inside = [Answer(Address("ap", 9619), Verdict.SILENT, "8.8.8.8")]
        assert main.main(["check-connectivity", f"127.0.0.1:{port}", "-regions", "us-east-2", "eu-west-1"]) == 1
        said = capsys.readouterr().out
        assert self.asked == ["us-east-2", "eu-west-1"]
        assert "Asked from eu-west-1:\n  ap:9619 (8.8.8.8): nothing answers\n      let TCP to ap, port 9619" in said

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (None, "there is no function of ours to ask; condor_annex setup -regions us-east-2 makes it"),
            (NotPermitted("Invoke: AccessDenied"), "nobody could be asked: Invoke: AccessDenied"),
        ],
    )
    def test_a_region_that_is_named_has_to_answer(
        self, error: AnnexError | None, says: str, listener: Listener, capsys: pytest.CaptureFixture[str]
    ) -> None:
        port = listener(COLLECTOR)
        self.error = error
        assert main.main(["check-connectivity", f"127.0.0.1:{port}", "-regions", "us-east-2"]) == 1
        assert says in capsys.readouterr().out

    def test_one_of_a_list_that_leads_elsewhere_fails_it(
        self, listener: Listener, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good, other = listener(COLLECTOR), listener(b"SSH-2.0-x\r\n")
        assert main.main(["check-connectivity", f"127.0.0.1:{good}, 127.0.0.1:{other}?sock=c"]) == 1
        assert f"127.0.0.1:{other}?sock=c: something listens there that is no collector" in capsys.readouterr().out

    def test_a_knob_that_is_no_address_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["check-connectivity"]) == 1
        assert "ANNEX_COLLECTOR_HOST: 'ap:no-port': 'no-port' is no port" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["-x"], ["ap", "second"]])
    def test_a_senseless_command_line_is_refused(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main.main(["check-connectivity", *arguments])
        assert ended.value.code == 2
