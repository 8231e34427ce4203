"""Command lines that make no sense, of every verb: each is told what is wrong with it, and nobody is asked anything."""

import re
import subprocess
import sys

import pytest

from annex_core.cli.main import HELP, main

VERBS = sorted({*re.findall(r"(?:^ {4}|; )condor_annex ([a-z][a-z-]*)", HELP, re.MULTILINE), "off"})
VALUES = {
    "ADDRESSES": ("192.0.2.0/24", "198.51.100.0/24"),
    "MOMENT": ("2030-01-01", "2030-01-02"),
    "YYYY-MM": ("2030-01", "2030-02"),
    "N": ("1", "2"),
    "RATE": ("0.1", "0.2"),
    "REGION": ("us-east-2", "us-east-1"),
    "SHARE": ("0.1", "0.2"),
    "TIME": ("1h", "2h"),
    "URL": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
    "USD": ("0.1", "0.2"),
}
"""Two good values, by what an option's help says that it takes."""
FLAGS = {
    "create": {"-yes", "-no-wait", "-dry-run", "-no-owner", "-pilot"},
    "end": {"-all", "-now", "-yes"},
    "off": {"-all", "-now", "-yes"},
    "destroy": {"-verify"},
}
ANNEX = {verb: ["blue"] for verb in ("create", "extend", "end", "off", "destroy", "freeze", "thaw")}
GATHER = {("create", "-tag"), ("replay", "-policy"), ("replay", "-route")}


def _values(first, *others):
    """
    Args:
        first: What the help says that it takes, or the first of what it may be.
    """
    return VALUES.get(first, (first, *others, "other")[:2])


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No daemon and no credentials: what is not refused as it is read fails otherwise than with 2."""
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "nobody.sock"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def refused(capsys):
    """What is said of a command line that makes no sense."""

    def why(*words):
        try:
            status = main(words)
        except SystemExit as left:
            status = left.code
        said = capsys.readouterr().err
        assert status == 2, said
        assert f"condor_annex {words[0].lstrip('-')}" in said
        return said

    return why


@pytest.fixture
def options(capsys):
    """Each option of a verb that takes a value, and two values that it would take."""

    def of(verb):
        with pytest.raises(SystemExit) as left:
            main([verb, "-help"])
        assert left.value.code == 0
        found = re.findall(r"^  (-[a-z-]+) (\S+)", capsys.readouterr().out, re.MULTILINE)
        return [(option, _values(*takes.strip(",").strip("{}").split(","))) for option, takes in found]

    return of


def test_every_verb_that_the_help_names_is_tried():
    assert {"create", "extend", "thaw", "teardown", "check-setup", "config", "lint", "policies"} <= {*VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_without_its_value_is_refused_by_name(options, refused, verb):
    for option, _ in options(verb):
        assert f"{option}" in refused(verb, option)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "replay"])
def test_an_option_with_an_empty_value_is_refused_by_name(options, refused, verb):
    for option, _ in options(verb):
        assert option in refused(verb, option, "")


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_stands_twice_is_refused_by_name(options, refused, verb):
    for option, (value, other) in options(verb):
        if (verb, option) not in GATHER:
            assert f"{option} stands twice" in refused(verb, option, value, option, other)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"status", "plan"}])
def test_an_option_that_there_is_not_is_refused_by_name(refused, verb):
    """Behind status stand condor_status's own, behind plan condor_submit's."""
    annex = ["blue"] if verb in {"create", "end", "off", "destroy", "freeze", "thaw", "why"} else []
    assert "-such-option" in refused(verb, *annex, *(["blue", "-duration", "1h"] * (verb == "extend")), "-such-option")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "status"])
def test_an_option_that_is_cut_short_is_refused_and_the_whole_one_named(options, refused, verb):
    """As condor_status takes its own abbreviations, so may what stands behind status."""
    whole = {option for option, _ in options(verb)} | FLAGS.get(verb, set())
    for option in whole:
        for short in (option[:2], option[:-1]):
            if short not in whole | {"-h", "-", "--"}:
                said = refused(verb, *ANNEX.get(verb, ()), short)
                assert f"there is no option {short}; write it whole: " in said
                assert option in said
        assert f"-{option[:-1]}" in refused(verb, *ANNEX.get(verb, ()), f"-{option[:-1]}")


def test_end_does_not_take_n_for_now(refused):
    assert refused("end", "blue", "-n").endswith("there is no option -n; write it whole: -now\n")


@pytest.mark.parametrize("verb", ["create", "extend", "end", "off", "destroy", "freeze", "thaw", "status", "config"])
@pytest.mark.parametrize("name", ["a_b", "a.b", "", "x" * 38, "x" * 65], ids=["_", "dot", "empty", "38", "65"])
def test_a_name_that_no_annex_can_have_is_refused_before_anybody_is_asked(refused, verb, name):
    assert "1 to 37 letters, digits and dashes" in refused(verb, name, *(["-duration", "1h"] * (verb == "extend")))


@pytest.mark.parametrize("length", [27, 28, 37])
def test_a_name_that_the_withdrawn_tool_cut_is_asked_for_whole(capsys, length):
    assert main(["end", "x" * length]) == 1
    assert "condor_annexd does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("create blue -tag a=1 -tag a=2", "-tag"),
        ("create blue -duration 0", "more than 0"),
        ("create blue -instance-types ,", "-instance-types: ,: it takes one or more"),
        ("create blue -security-groups ,", "-security-groups: ,: it takes one or more"),
        ("create blue -max-price ,", "-max-price: ,: it takes one or more"),
        ("extend blue -duration=-1h", "more than 0"),
        ("freeze -annex a -project b", "not allowed with"),
        ("freeze a -annex b", "not allowed with"),
        ("end blue -all", "not allowed with"),
        ("setup -regions us-east-2 -aws-region us-east-1", "-aws-region stands twice"),
        ("setup -regions nowhere", "no region such as"),
        ("setup -endpoint nowhere -regions us-east-2", "no URL such as"),
        ("setup -endpoint ftp://127.0.0.1 -regions us-east-2", "no URL such as"),
        ("setup FROM INSTANCE -profile x", "either -profile"),
        ("check-setup FROM NOWHERE ELSE THAN", "FROM INSTANCE"),
        ("setup -regions us-east-1 us-east-2 -vpc vpc-1", "one region"),
        ("teardown one", "FROM INSTANCE"),
        ("policies -account 12", "twelve digits"),
        ("policies -pool ${aws:userid}", "-pool"),
        ("policies everything", "invalid choice"),
        ("lint everything", "everything"),
    ],
)
def test_what_contradicts_itself_or_is_out_of_range_is_refused(refused, words, named):
    assert named in refused(*words.split())


def test_output_that_nobody_reads_any_more_is_no_traceback():
    program = [sys.executable, "-m", "annex_core.cli.main", "help"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 1


def test_an_interrupted_command_says_so_and_no_more(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("annex_core.adapters.wire.socket.socket", interrupted)
    assert main(["status"]) == 130
    assert capsys.readouterr().err == "\ncondor_annex status: interrupted\n"
