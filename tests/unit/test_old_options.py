"""Old tools' command lines, as the request that they make now."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters.old_knobs import set_in
from annex_core.errors import BadRequest
from annex_core.legacy import annex, perl
from annex_core.legacy.asked import Asked
from annex_core.legacy.knobs import KNOBS, Knob, Knobs
from annex_core.legacy.options import OPTIONS, PERL, Tool
from annex_core.legacy.reading import is_old, read

NONE = Knobs()
FLEET = {"TargetCapacity": 3}
CREATE = ("-annex-name", "blue", "-count", "2")
PERL_CREATE = ("--project-id", "blue", "--instances", "2")


class Disk:
    """Files that are all there."""

    def text(self, path: str) -> str:
        return f"text of {path}"

    def fleet(self, path: str) -> dict[str, Any]:
        return {**FLEET, "Context": path}

    def config_files(self, path: str) -> Mapping[str, str]:
        return {path.strip("/"): "QQ=="}


def knobs(**values: str) -> Knobs:
    return Knobs({name.lower(): Knob(name, value, "cc:1") for name, value in values.items()})


def asked(*words: str, knobs: Knobs = NONE) -> Asked:
    return annex.asked(read(words), knobs, Disk())


def body(*words: str, knobs: Knobs = NONE) -> Mapping[str, Any]:
    return asked(*words, knobs=knobs).body


def why_not(*words: str, knobs: Knobs = NONE) -> str:
    with pytest.raises(BadRequest) as refused:
        asked(*words, knobs=knobs)
    return str(refused.value)


def scripted(*words: str) -> Asked:
    return perl.asked(read(words), Disk(), zone=timezone(timedelta(hours=-6)), central_managers=frozenset({"cm.edu"}))


def why_not_scripted(*words: str) -> str:
    with pytest.raises(BadRequest) as refused:
        scripted(*words)
    return str(refused.value)


def test_count_makes_on_demand_machines_with_the_tools_own_lease_and_idle_time() -> None:
    assert body(*CREATE) == {
        "name": "blue", "market": "on-demand", "instances": 2, "lifetime_s": 3000, "idle_s": 900
    }  # fmt: skip


def test_slots_make_spot_machines() -> None:
    assert body("-annex-name", "blue", "-slots", "5") == {
        "name": "blue", "market": "spot", "fleet_api": "spot-fleet", "slots": 5, "lifetime_s": 3000, "idle_s": 900
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("-duration", "1.5"), "lifetime_s", 5400),
        (("-duration", "0x10"), "lifetime_s", None),
        (("-idle", "0.25"), "idle_s", 900),
        (("-aws-region", "us-west-2"), "region", "us-west-2"),
        (("-aws-ec2-url", "https://ec2.eu-west-1.amazonaws.com"), "region", "eu-west-1"),
        (("-service-url", "https://ec2.eu-west-1.amazonaws.com/"), "region", "eu-west-1"),
        (("-owner", "alice"), "owner", "alice"),
        (("-no-owner",), "any_owner", True),
        (("-config-dir", "/etc/annex"), "config_files", {"etc/annex": "QQ=="}),
        (("-aws-user-data", "#!/bin/sh"), "user_data", "#!/bin/sh"),
        (("-aws-user-data-file", "/x"), "user_data", "text of /x"),
        (("-user-data-file", "/x"), "user_data", "text of /x"),
        (("-aws-on-demand-instance-type", "c5.large"), "instance_types", ["c5.large"]),
        (("-odi-instance-type", "c5.large"), "instance_types", ["c5.large"]),
        (("-aws-on-demand-ami-id", "ami-1"), "image", "ami-1"),
        (("-aws-on-demand-security-group-ids", "sg-1, sg-2"), "security_groups", ["sg-1", "sg-2"]),
        (("-aws-on-demand-key-name", "mine"), "key_name", "mine"),
        (("-aws-on-demand-instance-profile-arn", "arn:x"), "instance_profile", "arn:x"),
    ],
)
def test_each_option_reaches_the_request(words: tuple[str, ...], field: str, value: object) -> None:
    if value is None:
        assert "decimal number" in why_not(*CREATE, *words)
    else:
        assert body(*CREATE, *words)[field] == value


def test_options_after_no_owner_count() -> None:
    assert body("-no-owner", *CREATE)["name"] == "blue"


@pytest.mark.parametrize("value", ["12, 13", "a=b", 'say "hi"', "-v", "", "é,=;'$(x)"])
def test_values_of_tags_survive_whatever_they_hold(value: str) -> None:
    assert body(*CREATE, "-tag", "CostCenter", value)["tags"] == {"CostCenter": value}


def test_several_tags_are_several_tags() -> None:
    assert body(*CREATE, "-tag", "a,b", "1", "-tag", "c=d", "2")["tags"] == {"a,b": "1", "c=d": "2"}


@pytest.mark.parametrize(
    ("key", "named"),
    [("Cost Center", "Cost Center"), ("aws:x", "AWS keeps"), ("htcondor:Pool", "annex's own"), ("..", "metadata")],
)
def test_a_tag_key_that_fails_every_launch_is_refused(key: str, named: str) -> None:
    assert named in why_not(*CREATE, "-tag", key, "1")


def test_a_tag_given_twice_is_refused() -> None:
    assert "-tag a is given twice" in why_not(*CREATE, "-tag", "a", "1", "-tag", "a", "2")


def test_a_fleet_file_goes_into_the_request_as_it_stands() -> None:
    found = body("-annex-name", "blue", "-slots", "5", "-aws-spot-fleet-config-file", "/f.json")

    assert found["fleet_config"] == {"TargetCapacity": 3, "Context": "/f.json"}
    assert found["slots"] == 5


def test_the_annex_daemons_bare_file_is_a_fleet_file_and_its_count_a_capacity() -> None:
    found = body("-annex", "blue", "-lease-duration", "600", "-count", "5", "config.json")

    assert found["fleet_config"]["Context"] == "config.json"
    assert (found["slots"], found["lifetime_s"], found["market"]) == (5, 600, "spot")


def test_a_fleet_file_says_how_much_where_the_command_line_does_not() -> None:
    found = body("-annex-name", "blue", "-aws-spot-fleet-config-file", "-")

    assert "slots" not in found
    assert found["fleet_config"]["Context"] == "-"


def test_default_user_data_goes_with_a_fleet_file_alone() -> None:
    words = ("-annex-name", "blue", "-slots", "1", "-aws-default-user-data", "x")

    assert "there is none" in why_not(*words)
    assert body(*words, "-aws-spot-fleet-config-file", "f")["default_user_data"] == "x"
    assert body(*words, knobs=knobs(ANNEX_DEFAULT_SFR_CONFIG_FILE="f"))["default_user_data"] == "x"


def test_duration_alone_is_a_new_lease() -> None:
    assert asked("-annex-name", "blue", "-duration", "2") == Asked("extend", {"name": "blue", "lifetime_s": 7200})


@pytest.mark.parametrize(
    ("words", "verb", "found", "rest"),
    [
        (("-status",), "status", {}, ()),
        (("-annex", "blue", "-status"), "status", {"name": "blue"}, ()),
        (("-status", "-classad", "-annex-name", "blue"), "classads", {"name": "blue"}, ()),
        (("-annex", "blue", "status", "-long", "-x"), "condor_status", {"name": "blue"}, ("-long", "-x")),
        (("-annex-name", "blue", "off"), "off", {"name": "blue"}, ()),
        (("-help",), "help", {}, ()),
        (("-h",), "help", {}, ()),
        (("-check-setup",), "check-setup", {}, ()),
        (("-setup",), "setup", {}, ()),
        (("-setup", "FROM", "INSTANCE"), "setup", {"from_instance": True}, ()),
        (("-aws-region", "us-west-2", "-setup"), "setup", {"region": "us-west-2"}, ()),
        (("-setup", "/pub", "/priv"), "setup", {"keys": ("/pub", "/priv")}, ()),
        (
            ("-check-setup", "-aws-access-key-file", "/a", "-aws-secret-key-file", "/s"),
            "check-setup",
            {"keys": ("/a", "/s")},
            (),
        ),
        (
            ("-setup", "/pub", "/priv", "https://cloudformation.us-west-1.amazonaws.com"),
            "setup",
            {"region": "us-west-1", "keys": ("/pub", "/priv")},
            (),
        ),
    ],
)  # fmt: skip
def test_other_forms_are_our_verbs(
    words: tuple[str, ...], verb: str, found: dict[str, Any], rest: tuple[str, ...]
) -> None:
    result = asked(*words)

    assert (result.verb, result.body, result.words) == (verb, found, rest)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("-annex-name", "blue"), "-count or -slots"),
        (("-count", "2"), "say which annex"),
        (("-annex-name", "blue", "-count", "0"), "1 to 10000"),
        (("-annex-name", "blue", "-count", "-3"), "1 to 10000"),
        (("-annex-name", "blue", "-count", "1e3"), "whole number"),
        (("-annex-name", "blue", "-count", "99999"), "1 to 10000"),
        (("-annex-name", "blue", "-count", "2", "-slots", "3"), "-count"),
        (("-annex-name", "blue", "-count", "2", "-aws-spot-fleet"), "-slots"),
        (("-annex-name", "blue", "-slots", "2", "-aws-on-demand"), "on-demand"),
        (("-annex-name", "blue", "-slots", "2", "-aws-on-demand-ami-id", "ami-1"), "-aws-on-demand-ami-id"),
        (("-annex-name", "blue", "-aws-on-demand", "-aws-spot-fleet-config-file", "f"), "on-demand"),
        ((*CREATE, "-annex-name", "red"), "twice"),
        ((*CREATE, "-duration", "0"), "-duration"),
        ((*CREATE, "-duration", "nan"), "-duration"),
        ((*CREATE, "-duration", "1e9"), "-duration"),
        ((*CREATE, "-duration", "0.01"), "-duration 0.01: it takes hours, from 60 seconds to 365 days of them"),
        ((*CREATE, "-idle", "-1"), "-idle"),
        ((*CREATE, "-idle", "1e-9"), "-idle 1e-9: it takes hours, from 5 seconds to 30 days of them"),
        ((*CREATE, "-idle", "0"), "-idle 0: it takes hours"),
        ((*CREATE, "-idle", "721"), "-idle 721: it takes hours"),
        ((*CREATE, "-aws-on-demand-security-group-ids", ","), "-aws-on-demand-security-group-ids ,: it names nothing"),
        ((*CREATE, "-odi-security-group-ids", " , "), "-odi-security-group-ids  , : it names nothing"),
        ((*CREATE, "-aws-on-demand-instance-type", ","), "-aws-on-demand-instance-type ,: it names nothing"),
        ((*CREATE, "-owner", ","), "-owner ,: it names nothing"),
        ((*CREATE, "-owner", "big, little"), "one owner"),
        ((*CREATE, "-owner", "alice", "-no-owner"), "say one"),
        ((*CREATE, "-aws-user-data", "x", "-aws-user-data-file", "y"), "say one"),
        ((*CREATE, "-aws-region", "us-west-2", "-aws-ec2-url", "https://ec2.us-east-1.amazonaws.com"), "don't agree"),
        ((*CREATE, "-aws-ec2-url", "http://127.0.0.1:4566"), "AnnexEndpoint"),
        ((*CREATE, "-aws-secret-key-file", "/x"), "say both"),
        ((*CREATE, "-pool", "cm"), "log in"),
        ((*CREATE, "-aws-s3-config-path", "b/k"), "AnnexBucket"),
        ((*CREATE, "-aws-on-demand-lease-function-arn", "arn"), "reaper"),
        ((*CREATE, "-classads"), "-status"),
        ((*CREATE, "-what"), "there is no option -what"),
        ((*CREATE, "--annex", "x"), "there is no option --annex"),
        (("-annex-name", "-count", "2"), "-annex-name takes NAME"),
        (("-annex-name",), "-annex-name takes NAME"),
        ((*CREATE, "-tag", "a"), "-tag takes KEY and VALUE"),
        (("-annex-name", "a_b", "-count", "1"), "letters, digits and dashes"),
        (("-annex-name", "a.b", "-count", "1"), "letters, digits and dashes"),
        (("-annex-name", "a" * 65, "-count", "1"), "1 to 37"),
        (("-annex-name", "blue", "-duration", "1", "-idle", "1"), "-idle: it goes with a new annex"),
        (("-status", "-count", "2"), "-count"),
        (("-setup", "FROM"), "FROM INSTANCE"),
        (("-setup", "-check-setup"), "say one of them"),
        (("-setup", *CREATE), "-annex-name: it goes with an annex"),
        (
            ("-aws-region", "us-east-1", "-setup", "/a", "/s", "https://cloudformation.us-west-1.amazonaws.com"),
            "-setup's CloudFormation URL (us-west-1) and -aws-region (us-east-1) don't agree",
        ),
        (("off",), "say which annex"),
    ],
)
def test_senseless_command_lines_say_what_is_wrong(words: tuple[str, ...], named: str) -> None:
    assert named in why_not(*words)


TAKE_A_VALUE = [each for each in OPTIONS if each.takes]


@pytest.mark.parametrize("option", TAKE_A_VALUE, ids=lambda each: f"{each.tool} {each}")
def test_an_option_without_its_value_is_refused_by_name(option: Any) -> None:
    with pytest.raises(BadRequest, match=re.escape(f"{option} takes {option.takes[0]}")):
        read((*_before(option), str(option)))


@pytest.mark.parametrize(
    "option", [each for each in TAKE_A_VALUE if not each.many], ids=lambda each: f"{each.tool} {each}"
)
def test_an_option_that_stands_twice_is_refused_by_name(option: Any) -> None:
    words = (str(option), *("x" for _ in option.takes))
    with pytest.raises(BadRequest, match=re.escape(f"{option} is given twice")):
        read((*_before(option), *words, *words))


def _before(option: Any) -> tuple[str, ...]:
    """What says whose command line it is, unless the option itself does."""
    return ("--verbose",) if option.tool is Tool.PERL else ("-status",)


@pytest.mark.parametrize("length", [27, 28, 37])
def test_names_that_the_withdrawn_tool_cut_are_whole(length: int) -> None:
    assert body("-annex-name", "a" * length, "-count", "1")["name"] == "a" * length


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.tool is not Tool.PERL], ids=str)
def test_the_shortest_abbreviation_is_taken_as_the_tool_took_it(option: Any) -> None:
    values = ["x"] * len(option.takes)

    (found,) = read((f"-{option.name[: option.shortest]}", *values)).options.values()

    first = next(each for each in OPTIONS if each.name.startswith(option.name[: option.shortest])
                 and each.shortest <= option.shortest)  # fmt: skip
    assert found == first


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.refused], ids=lambda each: f"{each.tool} {each}")
def test_what_is_refused_is_refused_by_name(option: Any) -> None:
    values = ["x"] * len(option.takes)
    if option.tool is Tool.PERL:
        assert str(option) in why_not_scripted(*PERL_CREATE, str(option), *values)
    else:
        assert str(option) in why_not(*CREATE, str(option), *values)


def test_knobs_say_what_options_leave_open() -> None:
    found = asked(
        *CREATE,
        knobs=knobs(
            ANNEX_DEFAULT_AWS_REGION="us-west-2",
            ANNEX_DEFAULT_LEASE_DURATION="60",
            ANNEX_DEFAULT_UNCLAIMED_TIMEOUT="120",
            ANNEX_DEFAULT_ODI_INSTANCE_TYPE="m4.large",
            ANNEX_DEFAULT_ODI_IMAGE_ID="ami-1",
        )
    )  # fmt: skip

    assert found.body == {
        "name": "blue", "market": "on-demand", "region": "us-west-2", "instances": 2, "lifetime_s": 60, "idle_s": 120,
        "instance_types": ["m4.large"], "image": "ami-1", "by_default": ["image", "instance_types"],
    }  # fmt: skip
    assert "image ami-1, as ANNEX_DEFAULT_ODI_IMAGE_ID (cc:1) says" in found.notes


SPOT = ("-annex-name", "blue", "-slots", "2")
_FLEET_FILE = (SPOT, "fleet_config", ("w", "a"), ({**FLEET, "Context": "w"}, {**FLEET, "Context": "a"}))
OF_A_CREATE: Mapping[str, tuple[tuple[str, ...], str, tuple[str, str], tuple[object, object]]] = {
    "ANNEX_DEFAULT_LEASE_DURATION": (CREATE, "lifetime_s", ("600", "700"), (600, 700)),
    "ANNEX_DEFAULT_UNCLAIMED_TIMEOUT": (SPOT, "idle_s", ("60", "70"), (60, 70)),
    "ANNEX_DEFAULT_ODI_KEY_NAME": (CREATE, "key_name", ("west", "any"), ("west", "any")),
    "ANNEX_DEFAULT_ODI_INSTANCE_TYPE": (
        CREATE,
        "instance_types",
        ("c5.large", "m5.large"),
        (["c5.large"], ["m5.large"]),
    ),
    "ANNEX_DEFAULT_ODI_IMAGE_ID": (CREATE, "image", ("ami-1", "ami-2"), ("ami-1", "ami-2")),
    "ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS": (CREATE, "security_groups", ("sg-1", "sg-2"), (["sg-1"], ["sg-2"])),
    "ANNEX_DEFAULT_ODI_INSTANCE_PROFILE_ARN": (CREATE, "instance_profile", ("arn:1", "arn:2"), ("arn:1", "arn:2")),
    "ANNEX_DEFAULT_SFR_CONFIG_FILE": _FLEET_FILE,
    "ANNEX_DEFAULT_SPOT_FLEET_CONFIG_FILE": _FLEET_FILE,
}
"""A command line, the field that the knob fills, and its values in a region and elsewhere, as knob and as field."""
KEY_FILES = {"ANNEX_DEFAULT_ACCESS_KEY_FILE", "ANNEX_DEFAULT_SECRET_KEY_FILE"}
SAY_WHICH_REGION = {"ANNEX_DEFAULT_AWS_REGION", "ANNEX_DEFAULT_EC2_URL"}


def test_each_knob_that_does_something_is_tried() -> None:
    idle = {name for name, now in KNOBS.items() if now.startswith("Nothing: ")}

    assert {*KNOBS} - idle == {*OF_A_CREATE} | KEY_FILES | SAY_WHICH_REGION


@pytest.mark.parametrize("before", ["us_west_2.", "annex.us_west_2."])
@pytest.mark.parametrize("name", OF_A_CREATE)
def test_a_regions_own_knob_goes_before_the_general_one(name: str, before: str) -> None:
    words, field, (west, everywhere), (in_the_west, elsewhere) = OF_A_CREATE[name]
    both = {f"{before}{name}": west, name: everywhere}

    assert body(*words, "-aws-region", "us-west-2", knobs=knobs(**both))[field] == in_the_west
    assert body(*words, "-aws-region", "us-east-1", knobs=knobs(**both))[field] == elsewhere
    assert body(*words, knobs=knobs(ANNEX_DEFAULT_AWS_REGION="us-west-2", **both))[field] == in_the_west


def test_a_regions_own_key_files_go_before_the_general_ones() -> None:
    both = {f"{before}{name}": f"/{before}{name}" for name in KEY_FILES for before in ("us_west_2.", "")}

    assert knobs(**both).key_files("us-west-2") == (
        "/us_west_2.ANNEX_DEFAULT_ACCESS_KEY_FILE", "/us_west_2.ANNEX_DEFAULT_SECRET_KEY_FILE"
    )  # fmt: skip
    assert knobs(**both).key_files("us-east-1") == (
        "/ANNEX_DEFAULT_ACCESS_KEY_FILE", "/ANNEX_DEFAULT_SECRET_KEY_FILE"
    )  # fmt: skip


def test_the_request_says_which_of_it_only_knobs_say() -> None:
    every = knobs(**{name: west for name, (_, _, (west, _), _) in OF_A_CREATE.items()})

    assert body(*CREATE, "-aws-on-demand-key-name", "k", "-odi-image-id", "ami-3", knobs=every)["by_default"] == [
        "instance_profile", "instance_types", "security_groups"
    ]  # fmt: skip
    assert body(*SPOT, knobs=every)["by_default"] == ["fleet_config"]
    assert "by_default" not in body(*SPOT, "-sfr-config-file", "f", knobs=every)


def test_the_knob_that_names_a_fleet_file_is_said() -> None:
    assert asked(*SPOT, knobs=knobs(ANNEX_DEFAULT_SFR_CONFIG_FILE="/k.json")).notes == (
        "fleet config /k.json, as ANNEX_DEFAULT_SFR_CONFIG_FILE (cc:1) says",
    )


def test_a_spot_annex_takes_the_fleet_file_of_its_knob() -> None:
    for name in ("ANNEX_DEFAULT_SFR_CONFIG_FILE", "ANNEX_DEFAULT_SPOT_FLEET_CONFIG_FILE"):
        found = body("-annex-name", "blue", "-slots", "1", knobs=knobs(**{name: "/k.json"}))
        assert found["fleet_config"]["Context"] == "/k.json"


def test_on_demand_knobs_leave_spot_alone() -> None:
    assert "image" not in body("-annex-name", "blue", "-slots", "1", knobs=knobs(ANNEX_DEFAULT_ODI_IMAGE_ID="ami-1"))


def test_a_knob_of_commas_alone_is_refused_by_place() -> None:
    assert "ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS (cc:1) ,: it names nothing" in why_not(
        *CREATE, knobs=knobs(ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS=",")
    )


def test_a_knob_of_no_number_is_refused_by_place() -> None:
    assert "ANNEX_DEFAULT_LEASE_DURATION (cc:1) = soon" in why_not(
        *CREATE, knobs=knobs(ANNEX_DEFAULT_LEASE_DURATION="soon")
    )


def test_what_htcondor_has_compiled_in_is_not_set() -> None:
    answer = (
        "# Configuration from machine: vm\n"
        "ANNEX_DEFAULT_AWS_REGION = us-east-1\n # at: <Default>\n # expanded: us-east-1\n"
        "ANNEX_DEFAULT_S3_BUCKET = $(X)/b\n # at: /home/a/.condor/user_config, line 12\n # expanded: y/b\n"
        "us_west_2.ANNEX_DEFAULT_ODI_KEY_NAME = k\n # at: /etc/c, line 3, use ROLE:x+1\n # expanded: k\n"
    )

    assert [(knob.name, knob.value, knob.place) for knob in set_in(answer)] == [
        ("ANNEX_DEFAULT_S3_BUCKET", "y/b", "/home/a/.condor/user_config:12"),
        ("us_west_2.ANNEX_DEFAULT_ODI_KEY_NAME", "k", "/etc/c:3"),
    ]


def test_the_scripts_own_example_makes_a_request() -> None:
    found = scripted(
        "--verbose", "--region=us-west-2", "--project-id=annex_parag", "--instances=2",
        "--expiry=2016-04-06 17:00", "--keypair=parag-annex", "--vpc=vpc-ed33af86",
        "--subnet=subnet-ec33af87,subnet-e233af89", "--image-ids=ami-e826cd88", "--spot-prices=0.06",
        "--instance-types=m3.medium",
    )  # fmt: skip

    assert found.body == {
        "name": "annex-parag", "project": "annex_parag", "region": "us-west-2", "instances": 2,
        "lease_ends": "2016-04-06T23:00:00Z", "key_name": "parag-annex",
        "subnets": ["subnet-ec33af87", "subnet-e233af89"], "market": "spot", "image": "ami-e826cd88",
        "instance_types": ["m3.medium"], "max_price_usd": {"m3.medium": "0.06"},
    }  # fmt: skip
    assert found.debug
    assert found.notes[0] == "the annex is called annex-parag, for no annex has an underscore"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2016-04-06 17:00", "2016-04-06T23:00:00Z"),
        ("2016-04-06 17:00:30", "2016-04-06T23:00:30Z"),
        ("2016-04-06 17:00+02:00", "2016-04-06T15:00:00Z"),
        ("2016-04-06 17:00 UTC", "2016-04-06T17:00:00Z"),
        ("2016-04-06T17:00Z", "2016-04-06T17:00:00Z"),
    ],
)
def test_an_expiry_is_local_unless_it_names_a_zone(text: str, ends: str) -> None:
    assert scripted("--project-id", "blue", "--expiry", text).body == {"name": "blue", "lease_ends": ends}


def test_delete_ends_the_annex_now() -> None:
    assert scripted("--project-id=blue", "--delete") == Asked("end", {"name": "blue", "now": True})


def test_lists_zip() -> None:
    found = scripted(*PERL_CREATE, "--image-ids", "ami-1,ami-2", "--spot-prices", ".06,1.", "--instance-types",
                     "c5.large,m5.large", "--subnet", "subnet-1,subnet-2").body  # fmt: skip

    assert found["fleet_config"]["LaunchSpecifications"] == [
        {"ImageId": "ami-1", "InstanceType": "c5.large", "SpotPrice": "0.06", "SubnetId": "subnet-1,subnet-2"},
        {"ImageId": "ami-2", "InstanceType": "m5.large", "SpotPrice": "1", "SubnetId": "subnet-1,subnet-2"},
    ]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--instances", "2"), "--project-id"),
        (("--project-id", "blue"), "--instances"),
        (("--project-id", "blue", "--instances"), "--instances takes NUMBER"),
        ((*PERL_CREATE, "--expiry", "tomorrow"), "--expiry tomorrow"),
        ((*PERL_CREATE, "--expiry", "2016-04-06"), "time of day"),
        ((*PERL_CREATE, "--image-ids", "ami-1"), "--spot-prices"),
        ((*PERL_CREATE, "--image-ids", "a,b", "--spot-prices", "1,2,3", "--instance-types", "x"), "as many"),
        ((*PERL_CREATE, "--image-ids", "a", "--spot-prices", "free", "--instance-types", "x"), "USD"),
        ((*PERL_CREATE, "--vpc", "vpc-1"), "--subnet"),
        ((*PERL_CREATE, "--subnet", ","), "--subnet ,: it names nothing"),
        ((*PERL_CREATE, "--spot-prices", ",", "--image-ids", ","), "--image-ids ,: it names nothing"),
        ((*PERL_CREATE, "--central-manager", "elsewhere.edu"), "annex pool of this access point"),
        ((*PERL_CREATE, "--delete"), "--instances: it goes with a new annex"),
        ((*PERL_CREATE, "--keypair", "k", "--keypair", "l"), "twice"),
        ((*PERL_CREATE, "extra"), "extra"),
        (("--project-id", "a.b", "--instances", "1"), "letters, digits and dashes"),
        (("--project-id", "blue", "--expiry", "2016-04-06 17:00", "--keypair", "k"), "--keypair: it goes with a new"),
    ],
)
def test_senseless_command_lines_of_the_script_say_what_is_wrong(words: tuple[str, ...], named: str) -> None:
    assert named in why_not_scripted(*words)


def test_the_pools_own_central_manager_needs_no_more_than_a_word() -> None:
    assert "annex pool" in scripted(*PERL_CREATE, "--central-manager", "CM.edu:9618").notes[0]


@pytest.mark.parametrize(
    "words", [("-annex-name", "x"), ("--project-id", "x"), ("-status",), ("f.json", "-count", "1")]
)
def test_old_command_lines_are_known_by_their_first_word(words: tuple[str, ...]) -> None:
    assert is_old(words)
    assert not is_old(("create", *words))


_WORD = st.sampled_from([str(each) for each in OPTIONS] + ["x", "3", "", "-", "--", "status", "f.json", "FROM", "\0"])


@given(st.lists(_WORD, max_size=6))
def test_no_command_line_is_more_than_a_bad_request(words: list[str]) -> None:
    with suppress(BadRequest):
        reading = read(words)
        if reading.perl:
            perl.asked(reading, Disk(), zone=UTC, central_managers=frozenset())
        else:
            annex.asked(reading, NONE, Disk())


def test_each_option_of_the_script_has_a_name_of_its_own() -> None:
    assert len({each.name for each in PERL}) == len(PERL)
