"""From the text of a route to a recipe, or to the reasons why it makes none."""

import dataclasses
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.recipes import FIELDS
from annex_core.adapters.route_text import RouteText, logical_lines
from annex_core.adapters.routes import Configured, Reading, RouteBook, places_in, texts_in
from annex_core.adapters.schemas import schema
from annex_core.model.route import EVERYBODY, Route
from annex_core.model.schedule import parse

CATALOGUE = Catalogue()
GOOD = """
    REQUIREMENTS AnnexProject =!= undefined
    MaxJobs = 100000
    MaxIdleJobs = 100000
    AnnexRegion = us-east-2
    AnnexSubnets = subnet-0aaa, subnet-0bbb
    AnnexImage = ami-0123456789abcdef0
    AnnexInstanceTypes = c7i.large m7i.large
    AnnexBucket = annex-bundles
    AnnexFleetRole = arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role
    AnnexMaxInstances = 10
"""


def configured(*routes: tuple[str, str], **values: str) -> Configured:
    names = tuple(name for name, _ in routes)
    texts = tuple(RouteText(name, logical_lines(text.splitlines())) for name, text in routes)
    return Configured(names, texts, names, values)


def read(more: str = "", **values: str) -> Reading:
    return RouteBook(CATALOGUE).read(configured(("aws", GOOD + more), **values))


def route(more: str = "", **values: str) -> Route:
    reading = read(more, **values)
    assert not reading.refused
    return reading.routes["aws"]


def test_a_good_route_has_its_macros_and_the_defaults() -> None:
    assert route() == Route(
        name="aws",
        region="us-east-2",
        subnets=("subnet-0aaa", "subnet-0bbb"),
        image="ami-0123456789abcdef0",
        instance_types=("c7i.large", "m7i.large"),
        bucket="annex-bundles",
        fleet_role="arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        max_instances=10,
    )


def test_a_good_route_has_no_findings() -> None:
    assert read().findings == ()


def test_a_macro_that_the_route_lacks_is_looked_up_in_the_configuration() -> None:
    assert route(AnnexVolumeGiB="50").volume_gib == 50


def test_the_routes_own_macro_wins_over_the_pool_wide_one() -> None:
    assert route("AnnexVolumeGiB = 30", AnnexVolumeGiB="50").volume_gib == 30


def test_a_route_is_for_those_it_lists_and_else_for_everybody() -> None:
    assert route().owners == (EVERYBODY,)
    assert route("AnnexOwners = alice, bob").owners == ("alice", "bob")
    assert route("AnnexOwners = *", AnnexOwners="alice").owners == (EVERYBODY,)
    assert read(AnnexOwners="").refused


def test_an_empty_macro_lifts_the_pool_wide_one() -> None:
    assert route("AnnexBudget =", AnnexBudget="50").budget is None


@pytest.mark.parametrize(("text", "seconds"), [("900", 900), ("900s", 900), ("5m", 300), ("8H", 28800), ("2d", 172800)])
def test_durations_are_seconds_or_have_a_unit(text: str, seconds: int) -> None:
    assert route(f"AnnexLifetime = {text}").lifetime == timedelta(seconds=seconds)


def test_the_longest_life_is_twice_the_lease_when_that_is_more_than_a_day() -> None:
    assert route("AnnexLifetime = 20h").max_lifetime == timedelta(hours=40)


def test_money_is_exact() -> None:
    assert route("AnnexMaxHourlyCost = 2.10").max_hourly_cost == Decimal("2.10")


def test_a_value_may_stand_in_quotes() -> None:
    assert route('AnnexKeyName = "my key"').key_name == "my key"


def test_an_image_may_be_an_ssm_parameter() -> None:
    assert route("AnnexImage = /site/annex/image").image == "/site/annex/image"


def test_tags_keep_their_order_and_their_spaces() -> None:
    assert route("AnnexTags = CostCenter=42 b, Group=hep").tags == (("CostCenter", "42 b"), ("Group", "hep"))


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("AnnexAllocationStrategy = diversified", "allocation_strategy", "diversified"),
        ("AnnexEgressPrice = 0.015", "egress_price", Decimal("0.015")),
        ("AnnexSecurityGroups = sg-0aaa, sg-0bbb", "security_groups", ("sg-0aaa", "sg-0bbb")),
        ("AnnexInstanceProfile = annex", "instance_profile", "annex"),
        ("AnnexConfigDir = /etc/condor/annex.d", "config_dir", "/etc/condor/annex.d"),
        ("AnnexEndpoint = http://127.0.0.1:4566", "endpoint", "http://127.0.0.1:4566"),
        ("AnnexFulfilWithin = 7m", "fulfil_within", timedelta(minutes=7)),
        ("AnnexGrowInterval = 7m", "grow_interval", timedelta(minutes=7)),
        ("AnnexIdleTimeout = 7m", "idle_timeout", timedelta(minutes=7)),
        ("AnnexJoinWithin = 7m", "join_within", timedelta(minutes=7)),
        ("AnnexMaxLifetime = 7d", "max_lifetime", timedelta(days=7)),
        ("AnnexMaxVcpus = 7", "max_vcpus", 7),
    ],
)
def test_a_macro_fills_its_field_and_no_other(line: str, field: str, value: object) -> None:
    assert route(line) == dataclasses.replace(route(), **{field: value})


KEPT = "AnnexMinInstances = 2\n"


def test_machines_are_kept_ready_when_the_schedule_says_so() -> None:
    made = route(f"{KEPT}AnnexMinSchedule = Mon-Fri 08:00-18:00, Sat 10:00-14:00 Europe/Berlin")
    assert made.min_instances == 2
    assert made.min_schedule == parse("Mon-Fri 08:00-18:00, Sat 10:00-14:00 Europe/Berlin")
    assert route().min_instances == 0


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (KEPT, "AnnexMinInstances needs AnnexMinSchedule"),
        (f"{KEPT}AnnexMinSchedule = weekdays", "AnnexMinSchedule: 'weekdays' is no time such as"),
        (f"{KEPT}AnnexMinSchedule = Mon 08:00-09:00 Europe/Atlantis", "no time zone Europe/Atlantis"),
        ("AnnexMinInstances = 11\nAnnexMinSchedule = always", "AnnexMinInstances is more than AnnexMaxInstances"),
        (f"{KEPT}AnnexMinSchedule = always\nAnnexUserDataFile = /etc/hostname", "our own boot script alone"),
    ],
)
def test_machines_that_could_not_be_kept_ready_are_refused(lines: str, reason: str) -> None:
    assert reason in read(lines).refused["aws"]


BURST = """
    EditJobInPlace = True
    AnnexAfter = 7m
"""
MAY_BURST = (
    "MayUseAWS =?= True && AnnexProject =?= undefined"
    " && (AnnexAfter =?= undefined || time() - EnteredCurrentStatus >= AnnexAfter)"
)


def burst(requirements: str = MAY_BURST, more: str = "") -> Reading:
    text = GOOD.replace("REQUIREMENTS AnnexProject =!= undefined", f"REQUIREMENTS {requirements}") + BURST + more
    return RouteBook(CATALOGUE).read(configured(("aws", text)))


def test_a_route_with_annex_after_is_for_jobs_that_named_no_annex() -> None:
    reading = burst()
    assert reading.routes["aws"].after == timedelta(minutes=7)
    assert reading.findings == ()


def test_the_shipped_form_of_such_a_route_says_who_is_taken_as_it_should() -> None:
    text = (Path(__file__).parent.parent.parent / "config.d/62-annex-route-burst.config").read_text()
    said = next(line for line in text.splitlines() if line.strip().startswith("REQUIREMENTS"))
    assert burst(said.strip().removeprefix("REQUIREMENTS ")).findings == ()


@pytest.mark.parametrize("requirements", ["", "&&"])
def test_it_has_to_say_which_jobs_may_go_to_the_cloud(requirements: str) -> None:
    findings = [str(each) for each in burst(requirements).findings]
    assert any("REQUIREMENTS" in each for each in findings)


@pytest.mark.parametrize(
    ("names", "warned"), [("AnnexSteer AnnexHook", True), ("AnnexSteer, annexburstcost", False)], ids=["no", "yes"]
)
def test_jobs_that_would_have_no_cost_are_warned_of(names: str, warned: bool) -> None:
    text = GOOD.replace("REQUIREMENTS AnnexProject =!= undefined", f"REQUIREMENTS {MAY_BURST}") + BURST
    reading = RouteBook(CATALOGUE).read(configured(("aws", text), JOB_TRANSFORM_NAMES=names))
    assert [
        "add JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) AnnexBurstCost" in str(each) for each in reading.findings
    ] == ([True] if warned else [])
    assert "aws" in reading.routes


def test_it_has_to_edit_jobs_in_place() -> None:
    reading = burst(more="EditJobInPlace = False\n")
    assert "a copy could not run at home" in reading.refused["aws"]


@pytest.mark.parametrize(
    ("requirements", "lacks"),
    [
        ("MayUseAWS && time() - EnteredCurrentStatus > AnnexAfter", "add && AnnexProject =?= undefined"),
        ("MayUseAWS && MY.AnnexProject =?= undefined", "add && (AnnexAfter =?= undefined ||"),
    ],
)
def test_requirements_that_take_a_job_again_and_again_are_warned_of(requirements: str, lacks: str) -> None:
    (finding,) = burst(requirements).findings
    assert not finding.fatal
    assert lacks in str(finding)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("AnnexRegion = Ohio", "AnnexRegion: 'Ohio'"),
        ("AnnexSubnets = subnet-0aaa, vpc-1", "'vpc-1'"),
        ("AnnexSubnets = subnet-0aaa, subnet-0aaa", "each once"),
        ("AnnexImage =", "AnnexImage is missing"),
        ("AnnexImage = debian", "AnnexImage: 'debian'"),
        ("AnnexInstanceTypes = c7i.lage", "no instance type c7i.lage; did you mean c7i.large"),
        ("AnnexInstanceTypes = c7i.large, c7g.large", "one image boots one architecture alone"),
        ("AnnexMaxInstances =", "without a cap nothing is launched"),
        ("AnnexMaxInstances = -1", "a whole number"),
        ("AnnexMaxInstances = many", "a whole number"),
        ("AnnexMaxInstances = 1.5", "a whole number"),
        ("AnnexBudget = -1", "a number from 0 to a million"),
        ("AnnexBudget = NaN", "a number from 0"),
        ("AnnexBudget = Infinity", "a number from 0"),
        ("AnnexBudget = 1e999999", "a number from 0 to a million"),
        ("AnnexLifetime = 8 hours", "a duration"),
        (f"AnnexLifetime = {'9' * 5000}", "a duration"),
        ("AnnexLifetime = 1000d", "a duration"),
        ("AnnexMaxLifetime = 1h", "less than AnnexLifetime"),
        ("AnnexTags = Cost Center=42", "'Cost Center'"),
        ("AnnexTags = aws:Name=a", "'aws:Name'"),
        ("AnnexTags = htcondor:Owner=a", "'htcondor:Owner'"),
        ("AnnexTags = Name", "key=value"),
        ("AnnexOwners =", "AnnexOwners: '' won't do; it takes user names, or * for everybody"),
        ("AnnexOwners = ,", "user names, or * for everybody"),
        ("AnnexMarket = spot-or-on-demand", "AnnexMarket: 'spot-or-on-demand'"),
        ("AnnexFleetApi = maintain", "AnnexFleetApi: 'maintain'"),
        ("AnnexCredentials = owners", "AnnexCredentials: 'owners'"),
        ("AnnexSubnets = default, subnet-0aaa", "AnnexSubnets: default stands alone"),
        ("AnnexCredentials = profile", "AnnexCredentials: 'profile'"),
        ("AnnexBucket =", "AnnexBucket is missing; condor_annex setup makes one"),
        ("AnnexFleetRole =", "AnnexFleetRole is missing; condor_annex setup makes one"),
        ("AnnexInstanceRequirements = x", "AnnexInstanceRequirements is not supported yet"),
        ("AnnexSubnet = subnet-0aaa", "no macro AnnexSubnet; did you mean AnnexSubnets?"),
        ("AnnexKeyName = $(MY.Owner)", "depends on the job"),
        ("AnnexKeyName me", "NAME = VALUE"),
        ("if true", "no endif"),
    ],
)
def test_a_bad_macro_is_refused_with_its_reason(line: str, reason: str) -> None:
    reading = read(line)

    assert reading.routes == {}
    assert reason in reading.refused["aws"]


def test_every_fault_of_a_route_is_found_at_once() -> None:
    findings = read("AnnexImage = debian\nAnnexBudget = -1").findings

    assert [finding.text.partition(":")[0] for finding in findings] == ["AnnexImage", "AnnexBudget"]


def test_faults_come_in_the_order_of_their_lines() -> None:
    findings = read("AnnexBudget = -1\nAnnexInstanceTypes = c7i.lage\nAnnexImage = debian").findings

    assert [finding.text.partition(":")[0] for finding in findings] == [
        "AnnexBudget",
        "AnnexInstanceTypes",
        "AnnexImage",
    ]


def test_a_cap_in_money_on_a_type_without_a_price_is_a_warning() -> None:
    (finding,) = read("AnnexInstanceTypes = c5.large\nAnnexBudget = 100").findings

    assert "no price is known in us-east-2 for c5.large" in finding.text


def test_a_fault_names_the_line_it_stands_on() -> None:
    (finding,) = read("AnnexImage = debian").findings

    assert finding.where == f"JOB_ROUTER_ROUTE_aws, line {GOOD.count(chr(10)) + 1}"


LINES = [
    *("if", "if true", "if defined A", "elif 0", "else", "endif", "A = $(B)", "B=$(A:x)", "B @=t", "@t", "\\", "# c"),
    *("SET A b", "TRANSFORM", "A += \\", "AnnexBudget = $(A)", "AnnexRegion=$(MY.x)", "AnnexTags = $(B)=$(A)"),
]


@given(
    st.lists(
        st.sampled_from(LINES) | st.text(max_size=20).map("AnnexBudget = {}".format) | st.text(max_size=20),
        max_size=12,
    )
)
def test_no_text_of_a_route_breaks_the_reader(lines: list[str]) -> None:
    text = RouteText("aws", logical_lines([*GOOD.splitlines(), *lines]))

    reading = RouteBook(CATALOGUE).read(Configured(("aws",), (text,), ("aws",), {}))

    assert reading.routes.keys() | reading.refused.keys() == {"aws"}


def test_a_bad_pool_wide_value_is_named_as_such() -> None:
    (finding,) = read(AnnexVolumeGiB="big").findings

    assert finding.where == "pool-wide AnnexVolumeGiB"


def test_a_bad_pool_wide_value_is_named_with_its_place_where_that_is_known() -> None:
    places = {"annexvolumegib": "/etc/condor/config.d/54.config:7"}
    bad = dataclasses.replace(configured(("aws", GOOD), AnnexVolumeGiB="big"), places=places)

    (finding,) = RouteBook(CATALOGUE).read(bad).findings

    assert str(finding).startswith("/etc/condor/config.d/54.config:7: error: route aws: AnnexVolumeGiB: 'big'")


def test_the_last_good_version_of_a_refused_route_stays() -> None:
    book = RouteBook(CATALOGUE)
    good = book.read(configured(("aws", GOOD))).routes

    reading = book.read(configured(("aws", GOOD + "AnnexImage = debian")))

    assert reading.routes == good
    assert "aws" in reading.refused


def test_a_route_that_is_refused_twice_keeps_its_last_good_version() -> None:
    book = RouteBook(CATALOGUE)
    good = book.read(configured(("aws", GOOD))).routes
    book.read(configured(("aws", GOOD + "AnnexImage = debian")))

    assert book.read(configured(("aws", GOOD + "AnnexImage = ubuntu"))).routes == good


def test_a_bad_route_leaves_the_others_alone() -> None:
    reading = RouteBook(CATALOGUE).read(configured(("bad", GOOD + "AnnexImage = debian"), ("good", GOOD)))

    assert reading.routes.keys() == {"good"}


def test_a_route_that_is_gone_is_forgotten() -> None:
    book = RouteBook(CATALOGUE)
    book.read(configured(("aws", GOOD)))

    assert book.read(configured()).routes == {}


def test_a_route_without_an_annex_macro_is_not_ours() -> None:
    other = configured(("grid", "GridResource = batch slurm\nif"))

    reading = RouteBook(CATALOGUE).read(dataclasses.replace(other, announced=()))

    assert (reading.routes, reading.findings) == ({}, ())


def test_two_routes_that_differ_by_case_alone_are_refused_but_for_the_first() -> None:
    both = dataclasses.replace(configured(("aws", GOOD)), names=("aws", "AWS"))

    reading = RouteBook(CATALOGUE).read(both)

    assert reading.routes.keys() == {"aws"}
    assert "by case alone" in reading.refused["AWS"]


def test_fallbacks_are_routes_by_their_names() -> None:
    first = GOOD + "AnnexMarket = spot-then-on-demand\nAnnexFallback = other, third\nAnnexFallbackAfter = 5m\n"
    reading = RouteBook(CATALOGUE).read(configured(("aws", first), ("other", GOOD), ("third", GOOD)))
    assert reading.findings == ()
    assert reading.routes["aws"].fallback == ("other", "third")
    assert reading.routes["aws"].fallback_after == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("fallback", "warning"),
    [
        ("nowhere", "there is no route nowhere that is in force: nothing falls back there"),
        ("aws", "names the route itself: nothing falls back there"),
    ],
)
def test_a_fallback_to_nowhere_is_a_warning(fallback: str, warning: str) -> None:
    reading = read(f"AnnexFallback = {fallback}\n")
    assert not reading.refused
    assert [(each.text, each.fatal) for each in reading.findings] == [(warning, False)]


def test_a_route_that_users_are_told_of_must_be_live() -> None:
    announced = dataclasses.replace(configured(("aws", GOOD)), announced=("aws", "asw"))

    assert "JOB_ROUTER_ROUTE_NAMES" in RouteBook(CATALOGUE).read(announced).refused["asw"]


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("MaxJobs =", "MaxJobs is not set"),
        ("MaxIdleJobs =", "MaxIdleJobs is not set"),
        ("AnnexMaxInstances = 0", "nothing is launched"),
        ("AnnexMaxVcpus = 0", "nothing is launched"),
        ("AnnexMaxVcpus = 1", "nothing is launched"),
        ("AnnexMaxHourlyCost = 0", "nothing is launched"),
        ("AnnexBudget = 0", "nothing is launched"),
        ("AnnexMaxHourlyCost = 0.01", "nothing is launched"),
        ("AnnexBudget = 0.10", "nothing is launched"),
        ("AnnexBudget = 2\nAnnexEgressPrice = 1", "one instance may cost"),
        ("AnnexRegion = eu-cental-1", "did you mean eu-central-1"),
        ("AnnexCredentials = owner", "AnnexBucket is in one account"),
        ("AnnexCredentials = owner\nAnnexOwners = alice bob", "AnnexFleetRole is in one account"),
    ],
)
def test_what_is_legal_but_surely_not_meant_is_a_warning(line: str, warning: str) -> None:
    reading = read(line)

    assert "aws" in reading.routes
    assert any(warning in finding.text and not finding.fatal for finding in reading.findings)


def test_a_route_for_one_users_own_account_may_name_what_is_in_it() -> None:
    reading = read("AnnexCredentials = owner\nAnnexOwners = alice")
    assert not [finding for finding in reading.findings if "one account" in finding.text]


def test_the_routers_pool_wide_limit_will_do_for_a_route_without_its_own() -> None:
    without = configured(("aws", GOOD.replace("MaxJobs", "Other")), JOB_ROUTER_DEFAULT_MAX_JOBS_PER_ROUTE="1000")

    assert RouteBook(CATALOGUE).read(without).findings == ()


def test_the_answer_of_condor_config_val_becomes_texts() -> None:
    answer = (
        "JOB_ROUTER_ROUTE_a @=end\n   AnnexRegion = x\n   @end\n@end\n # at: /nowhere/60.config, line 17\n\n"
        "JOB_ROUTER.JOB_ROUTER_ROUTE_b = AnnexRegion = y\n # at: /nowhere/60.config, line 20\n\n"
    )

    a, b = texts_in(answer)

    assert (a.name, [line.text for line in a.lines]) == ("a", ["AnnexRegion = x", "@end"])
    assert (b.name, b.where(b.lines[0].number)) == ("b", "/nowhere/60.config:20")


def test_the_same_answer_tells_the_places_of_pool_wide_macros() -> None:
    answer = (
        "JOB_ROUTER_ROUTE_a @=end\n   AnnexRegion = x\n@end\n # at: /nowhere/60.config, line 17\n\n"
        "AnnexLifetime = 8 hours\n # at: /nowhere/54.config, line 3\n\n"
        "AnnexTags @=end\n   a=b\n   c=d\n@end\n # at: /nowhere/54.config, line 9\n\n"
        "AnnexBudget = 5\n # at: <Environment>\n\n"
    )

    assert places_in(answer) == {"annexlifetime": "/nowhere/54.config:3", "annextags": "/nowhere/54.config:9"}


def test_a_line_of_a_route_is_numbered_as_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "60.config"
    file.write_text("A = 1\nJOB_ROUTER_ROUTE_a @=jrt\n  # why\n\n  B = 1 \\\n   2\n  AnnexRegion = x\n@jrt\n")

    (text,) = texts_in(f"JOB_ROUTER_ROUTE_a @=end\n   B = 1 2\n   AnnexRegion = x\n@end\n # at: {file}, line 8\n")

    assert [text.where(line.number) for line in text.lines] == [f"{file}:5", f"{file}:7"]


def test_a_file_that_has_changed_since_numbers_nothing(tmp_path: Path) -> None:
    file = tmp_path / "60.config"
    file.write_text("JOB_ROUTER_ROUTE_a @=jrt\n  AnnexRegion = other\n@jrt\n")

    (text,) = texts_in(f"JOB_ROUTER_ROUTE_a @=end\n   AnnexRegion = x\n@end\n # at: {file}, line 3\n")

    assert text.where(1) == "JOB_ROUTER_ROUTE_a, line 1"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema("route"))


def test_every_macro_fills_a_field_of_the_route() -> None:
    assert FIELDS.keys() == schema("route")["properties"].keys()
    assert {"name", *FIELDS.values()} <= {field.name for field in dataclasses.fields(Route)}


def test_every_macro_says_what_it_means_and_what_it_takes() -> None:
    assert all({"description", "expects", "type"} <= shape.keys() for shape in schema("route")["properties"].values())


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "pilot.sh"
    path.write_text("#!/bin/sh\n")
    return path


def test_a_pilots_route_names_its_user_data(script: Path) -> None:
    made = route(f"AnnexPilot = true\nAnnexUserDataFile = {script}")
    assert (made.pilot, made.user_data_file) == (True, str(script))


def test_a_pilots_route_without_user_data_is_refused() -> None:
    assert "AnnexPilot: without AnnexUserDataFile no pilot starts" in read("AnnexPilot = True").refused["aws"]


def test_a_word_that_is_neither_true_nor_false_is_refused() -> None:
    assert "it takes True or False" in read("AnnexPilot = maybe").refused["aws"]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"\xff", "not text"), (b"x" * 16385, "EC2 takes 16384")]
)
def test_user_data_that_can_not_be_given_refuses_the_route(script: Path, content: bytes | None, why: str) -> None:
    script.unlink() if content is None else script.write_bytes(content)
    assert why in read(f"AnnexPilot = True\nAnnexUserDataFile = {script}").refused["aws"]


def test_user_data_of_ones_own_that_nothing_says_how_to_join_by_is_warned_about(script: Path) -> None:
    (finding,) = read(f"AnnexUserDataFile = {script}").findings
    assert not finding.fatal
    assert "AnnexInstanceProfile" in finding.text
    assert read(f"AnnexUserDataFile = {script}\nAnnexInstanceProfile = annex").findings == ()
