"""What a launch hands to each of those it asks: the signer of tokens, the bucket, EC2."""

import io
import tarfile
from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.journal_setbacks import SetbackBook
from annex_core.bundle.build import FETCH_WITHIN
from annex_core.errors import NotPermitted, Refused
from annex_core.model.place import Place
from annex_core.model.route import Market
from annex_core.model.schedule import parse
from annex_core.model.setback import Subject
from annex_core.model.tags import stamp
from annex_core.planner.shortages import set_back
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, DOMAIN, NOW, REGION, ROUTE, group, wishing

LATER = timedelta(minutes=3)
"""After the grow interval."""


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group(idle=2)]
    yield made
    made.journal.close()


def launched(daemon, *, after=timedelta(0), **route):
    """The launch template's request, once the route has been changed by these fields."""
    daemon.routes = {ROUTE.name: replace(ROUTE, **route)}
    daemon.cycle(after=after)
    return daemon.cloud.templates[-1][0]


def settings(template):
    """What the header of the user data sets."""
    header = template.user_data.partition("# Makes this instance")[0]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in header.splitlines())}


def bundled(daemon):
    """Content by name of the files in the one bundle."""
    (content,) = daemon.store.objects.values()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {each.name: tar.extractfile(each).read().decode() for each in tar.getmembers() if each.isfile()}


def test_the_token_is_the_annexs_own_and_no_longer_good_than_its_outer_bound(daemon):
    launched(daemon, max_lifetime=timedelta(hours=30))
    identity = ALICE.identity(DOMAIN)
    assert daemon.tokens.issued == [(identity, 30 * 3600)]
    assert bundled(daemon)["annex-tokens/annex"] == f"token of {identity}\n"


def test_a_token_made_later_in_the_annexs_life_ends_with_it_all_the_same(daemon):
    launched(daemon)
    daemon.queue.groups = [group(idle=4)]
    launched(daemon, after=LATER, key_name="other")
    (_, first), (_, second) = daemon.tokens.issued
    assert first - second == LATER.total_seconds()


@pytest.mark.parametrize("fulfil_within", [timedelta(minutes=10), timedelta(hours=9)])
def test_the_bundles_url_is_good_until_the_last_machine_has_fetched_it(daemon, fulfil_within):
    url = settings(launched(daemon, fulfil_within=fulfil_within))["BUNDLE_URL"]
    key, _, good_for = url.removeprefix("https://bucket.example/").partition("?for=")
    assert key in daemon.store.objects
    assert timedelta(seconds=int(good_for)) > fulfil_within + FETCH_WITHIN


def test_once_its_url_would_end_too_early_the_next_step_gets_a_new_one(daemon):
    launched(daemon)
    daemon.queue.groups = [group(idle=4)]
    launched(daemon, after=timedelta(hours=3))
    assert [existing for _, existing in daemon.cloud.templates] == [None, "lt-1"]
    assert [request.template.version for request in daemon.cloud.requests] == [1, 2]


@pytest.mark.parametrize("killed", [False, True], ids=["", "and the daemon was killed"])
@pytest.mark.parametrize("error", [NotPermitted("no"), Refused("no such key pair")], ids=str)
class TestATemplateThatFailsBehindItsBundle:
    @pytest.fixture
    def daemon(self, daemon, error, killed):
        """The bundle is in the bucket, and there is no template."""
        daemon.cloud.errors["put_template"] = [error]
        daemon.cycle()
        assert (len(daemon.store.objects), daemon.cloud.templates, daemon.cloud.documents) == (1, [], [])
        if killed:
            daemon.restart()
        return daemon

    def ends(self, daemon):
        daemon.queue.groups = []
        daemon.cycle(after=ROUTE.lifetime)
        daemon.cycle(after=timedelta(minutes=1))
        return daemon.journal.annexes() == ()

    def test_nothing_of_it_stays_when_the_annex_ends(self, daemon):
        assert self.ends(daemon)
        assert (daemon.store.objects, daemon.cloud.templates) == ({}, [])

    def test_another_try_goes_by_the_same_bundle_and_leaves_no_second_one(self, daemon):
        (key,) = daemon.store.objects
        url = settings(launched(daemon, after=LATER))["BUNDLE_URL"]
        assert url.startswith(f"https://bucket.example/{key}?")
        assert [*daemon.store.objects] == [key]
        assert len(daemon.cloud.documents) == 1
        assert self.ends(daemon)
        assert (daemon.store.objects, daemon.cloud.deleted) == ({}, ["lt-1"])


def test_user_data_says_when_the_lease_ends_and_its_outer_bound(daemon):
    said = settings(launched(daemon))
    assert (said["LEASE_ENDS"], said["ENDS_AT_LATEST"]) == ("2026-11-21T20:00:00Z", "2026-11-22T12:00:00Z")


def test_the_fleet_ends_at_the_outer_bound_and_is_asked_for_as_the_route_says(daemon):
    launched(daemon, allocation_strategy="diversified", fleet_role="arn:aws:iam::123456789012:role/other")
    (asked,) = daemon.cloud.requests
    (annex,) = daemon.journal.annexes()
    assert (asked.valid_until, asked.allocation_strategy, asked.fleet_role) == (
        annex.ends_at_latest,
        "diversified",
        "arn:aws:iam::123456789012:role/other",
    )


@pytest.mark.parametrize(
    "wish",
    [
        {"security_groups": ("sg-1", "sg-2")},
        {"instance_profile": "annex"},
        {"key_name": "admin"},
        {"volume_gib": 70},
        {"image": "ami-2"},
    ],
    ids=lambda wish: next(iter(wish)),
)
def test_the_template_has_what_the_route_says(daemon, wish):
    template = launched(daemon, **wish)
    assert {name: getattr(template, name) for name in wish} == wish


def test_the_routes_tags_are_on_fleet_template_and_bundle_beside_the_annexs_own(daemon):
    template = launched(daemon, tags=(("CostCenter", "42"),))
    (bundle_tags,) = daemon.store.tags.values()
    assert template.tags == bundle_tags == daemon.cloud.requests[0].tags
    assert {"CostCenter": "42", "htcondor:AnnexName": "blue"}.items() <= template.tags.items()


def test_of_two_subnets_in_one_zone_a_fleet_is_asked_for_in_the_first(daemon):
    daemon.cloud.zones = {"subnet-1": "a", "subnet-2": "a", "subnet-3": "b"}
    launched(daemon, subnets=("subnet-1", "subnet-2", "subnet-3"), instance_types=("c5.large",))
    assert [each.subnet for each in daemon.cloud.requests[0].overrides] == ["subnet-1", "subnet-3"]


def test_a_zone_that_has_none_of_a_type_is_not_asked_for_it(daemon):
    route = {"instance_types": ("c5.large",), "subnets": ("subnet-1", "subnet-2")}
    launched(daemon, **route)
    none_there = Subject(Place(REGION), Market.SPOT, "c5.large", "zone-of-subnet-1")
    SetbackBook(daemon.journal).add([(none_there, "no capacity")], NOW + LATER, set_back)
    daemon.queue.groups = [group(idle=6)]
    launched(daemon, after=LATER, **route)
    asked = [[each.subnet for each in request.overrides] for request in daemon.cloud.requests]
    assert asked == [["subnet-1", "subnet-2"], ["subnet-2"]]
    launches = daemon.journal.launches(daemon.journal.annexes())
    assert [each.pools for each in launches][1] == (("c5.large", "zone-of-subnet-2"),)


def test_no_machine_is_paid_more_for_than_the_price_that_was_reserved(daemon):
    launched(daemon)
    asked = {each.instance_type: each.max_price for each in daemon.cloud.requests[0].overrides}
    (launch,) = daemon.journal.launches(daemon.journal.annexes())
    assert asked.keys() == {*launch.types}
    assert max(asked.values()) < launch.hourly_ceiling  # that has volume and address too


def test_the_bundle_says_how_long_its_machines_stay_without_work(daemon):
    daemon.queue.groups = [group(idle=2, wishes=wishing(idle_timeout=timedelta(seconds=90)))]
    launched(daemon)
    assert "AnnexIdleTimeout = 90\n" in bundled(daemon)["60-annex.config"]


def test_a_machine_that_is_kept_ready_is_told_until_when_and_others_are_not(daemon):
    assert "WARM_UNTIL" not in settings(launched(daemon))
    daemon.queue.groups = []
    hours = parse("Sat 08:00-18:00")
    said = settings(launched(daemon, after=LATER, min_instances=5, min_schedule=hours))
    assert said["WARM_UNTIL"] == stamp(NOW.replace(hour=18))


def test_the_files_of_the_routes_folder_reach_the_machines_but_for_hidden_ones(daemon, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "70-site.config").write_text("SITE = 1\n")
    (folder / ".70-site.config.swp").write_text("")
    (folder / "old").mkdir()
    launched(daemon, config_dir=str(folder))
    assert {*bundled(daemon)} == {
        "60-annex.config",
        "70-site.config",
        "annex-tokens/annex",
        "annex-boot/notice.sh",
    }
    assert bundled(daemon)["70-site.config"] == "SITE = 1\n"


def test_a_file_changed_in_the_routes_folder_reaches_the_next_machines(daemon, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    file = folder / "70-site.config"
    file.write_text("SITE = 1\n")
    launched(daemon, config_dir=str(folder))
    file.write_text("SITE = 2\n")
    daemon.queue.groups = [group(idle=4)]
    launched(daemon, after=LATER, config_dir=str(folder))
    assert bundled(daemon)["70-site.config"] == "SITE = 2\n"
    assert daemon.cloud.requests[-1].template.version == 2


def test_a_folder_that_is_gone_launches_nothing_and_the_user_reads_which(daemon, tmp_path):
    daemon.routes = {ROUTE.name: replace(ROUTE, config_dir=str(tmp_path / "gone"))}
    daemon.cycle()
    daemon.cycle(after=timedelta(seconds=1))
    assert daemon.cloud.documents == []
    assert f"AnnexConfigDir: No such file or directory: {tmp_path / 'gone'}" in daemon.last_said


def test_without_the_key_pair_that_its_route_names_nothing_is_made_and_the_user_reads_which(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, key_name="gone")}
    daemon.cycle()
    daemon.cycle(after=timedelta(seconds=1))
    assert (daemon.cloud.templates, daemon.store.objects, daemon.cloud.documents) == ([], {}, [])
    assert "there is no key pair gone" in daemon.last_said


def test_a_key_pair_that_may_not_be_looked_for_keeps_nothing_from_launching(daemon):
    daemon.cloud.errors["need_key_pair"] = [NotPermitted("DescribeKeyPairs")] * 9
    launched(daemon, key_name="gone")
    assert len(daemon.cloud.documents) == 1


def test_a_fleet_is_asked_for_in_no_more_pools_than_aws_takes_and_in_every_zone(daemon):
    subnets = tuple(f"subnet-{number:x}" for number in range(120))
    launched(daemon, subnets=subnets, instance_types=("c5.large", "c5.xlarge", "c5.4xlarge"))
    (request,) = daemon.cloud.requests
    assert {each.subnet for each in request.overrides} == {*subnets}
    assert len(request.overrides) <= 300


def test_default_subnets_are_those_that_the_account_has(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, subnets=("default",))}
    daemon.cloud.subnet_zones = lambda subnets: {"subnet-d1": "us-east-2a", "subnet-d2": "us-east-2b"}
    daemon.queue.groups = [group()]
    daemon.cycle()
    [request] = daemon.cloud.requests
    assert {each.subnet for each in request.overrides} == {"subnet-d1", "subnet-d2"}
