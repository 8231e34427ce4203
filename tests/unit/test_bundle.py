"""What instances are given: pure, so tested as values."""

import io
import re
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import classad2
import pytest

from annex_core.bundle.build import USER_DATA_LIMIT, ExecutionPoint, bundle, user_data
from annex_core.errors import BadRequest, BadRoute, Refused
from annex_core.model.names import ANYBODY, AnnexKey

ENDS = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def point(project: str = "photons", owner: str = "alice", version: str | None = None) -> ExecutionPoint:
    return ExecutionPoint(
        key=AnnexKey(owner, "blue"),
        project=project,
        route="aws",
        collector="ap.pool.test:9618?sock=annex_collector",
        trust_domain="pool.test",
        idle_timeout=timedelta(minutes=5),
        lease_ends=ENDS,
        hourly_prices={"m7i-flex.large": Decimal("0.0961")},
        version=version,
    )


def packed(content: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(content))


def configuration(content: bytes) -> str:
    member = packed(content).extractfile("60-annex.config")
    assert member
    return member.read().decode()


def test_the_same_input_makes_the_same_bytes() -> None:
    files = {"70-site.config": b"A = 1\n", "71-site.config": b"B = 2\n"}
    backwards = dict(reversed(files.items()))
    assert bundle(point(), token="t", config_dir=files) == bundle(point(), token="t", config_dir=backwards)


def test_the_layout_is_flat_as_the_boot_service_of_htcondor_unpacks_it() -> None:
    names = packed(bundle(point(), token="t", config_dir={"70-site.config": b""})).getnames()
    assert names == [
        "60-annex.config",
        "70-site.config",
        "annex-tokens",
        "annex-tokens/annex",
        "annex-boot",
        "annex-boot/notice.sh",
    ]


def test_with_the_access_points_version_it_brings_what_installs_htcondor_in_a_folder_that_htcondor_does_not_read() -> (
    None
):
    tar = packed(bundle(point(version="23.9.6"), token="t", config_dir={}))
    assert [name for name in tar.getnames() if name.startswith("annex-boot/")] == [
        "annex-boot/notice.sh",
        "annex-boot/install.sh",
        "annex-boot/version",
    ]
    version = tar.extractfile("annex-boot/version")
    assert version
    assert version.read() == b"23.9.6\n"


def test_only_root_can_read_the_token_once_unpacked() -> None:
    tar = packed(bundle(point(), token="t", config_dir={}))
    assert [(tar.getmember(name).mode, tar.getmember(name).uid) for name in ("annex-tokens", "annex-tokens/annex")] == [
        (0o700, 0),
        (0o600, 0),
    ]


def test_the_token_is_nowhere_else() -> None:
    assert "the-token" not in configuration(bundle(point(), token="the-token", config_dir={}))


@pytest.mark.parametrize("name", ["60-annex.config", "annex-tokens", "../70.config", "a/b", ".hidden", "", "x" * 200])
def test_a_file_of_the_admin_that_htcondor_would_not_read_or_that_is_ours_is_refused_by_route_and_name(
    name: str,
) -> None:
    with pytest.raises(BadRoute, match="route aws: AnnexConfigDir"):
        bundle(point(), token="t", config_dir={name: b""})


def test_a_project_can_break_out_of_neither_its_string_nor_its_macro() -> None:
    text = configuration(bundle(point(project='a" || true \\ $(LOG)'), token="t", config_dir={}))
    assert 'AnnexProject = "a\\" || true \\\\ $(DOLLAR)(LOG)"\n' in text


@pytest.mark.parametrize("project", ["a\nSTART = True", "a\rb", "a\0b"])
def test_a_project_of_several_lines_is_refused(project: str) -> None:
    with pytest.raises(BadRequest):
        bundle(point(project=project), token="t", config_dir={})


def starts(left: timedelta, *, draining: bool = False, of: str = "alice", **job: object) -> bool:
    """Does START of *of*'s annex blue admit a job of alice's for it, with this in its ad, so long before the end?"""
    text = configuration(bundle(point(owner=of), token="t", config_dir={})).replace("\\\n", "")
    own = dict(re.findall(r"^(Annex\w+) = (.*)$", text, re.MULTILINE))
    (start,) = re.findall(r"^START = (.*)$", text, re.MULTILINE)
    expression = start
    while expression != (expanded := re.sub(r"\$\((\w+)\)", lambda name: own[name[1]], expression)):
        expression = expanded
    ends = int((datetime.now(UTC) + left).timestamp())
    slot = classad2.ClassAd({"AnnexLeaseEnds": ends, "AnnexDraining": draining})
    ad = classad2.ClassAd({"Owner": "alice", "TargetAnnexName": "blue", **job})
    return classad2.ExprTree(expression).eval(slot, ad) is True


@pytest.mark.parametrize(
    "other", [{"Owner": "bob"}, {"TargetAnnexName": "red"}, {"TargetAnnexName": None}, {"Owner": "ALICE"}]
)
def test_start_admits_the_owner_and_the_annex_alone(other: dict[str, object]) -> None:
    assert starts(timedelta(hours=1))
    assert not starts(timedelta(hours=1), **other)


def test_start_of_an_annex_for_anybodys_jobs_admits_any_owners_for_the_annex() -> None:
    assert starts(timedelta(hours=1), of=ANYBODY)
    assert starts(timedelta(hours=1), of=ANYBODY, Owner="bob")
    assert not starts(timedelta(hours=1), of=ANYBODY, TargetAnnexName="red")
    assert not starts(timedelta(hours=1), of=ANYBODY, draining=True)


@pytest.mark.parametrize("bound", ["AllowedExecuteDuration", "AllowedJobDuration"])
def test_start_admits_what_is_bound_to_end_two_minutes_before_the_lease(bound: str) -> None:
    assert starts(timedelta(minutes=13), **{bound: 600})
    assert not starts(timedelta(minutes=11, seconds=30), **{bound: 600})


def test_in_the_last_two_minutes_of_the_lease_start_admits_nothing() -> None:
    assert starts(timedelta(minutes=3))
    assert not starts(timedelta(minutes=1, seconds=30))


def test_once_the_annex_is_ended_by_hand_start_admits_nothing() -> None:
    assert not starts(timedelta(hours=1), draining=True)


@pytest.mark.parametrize(
    "line",
    [
        "STARTER_ALLOW_RUNAS_OWNER = False",
        "SEC_DEFAULT_AUTHENTICATION = REQUIRED",
        "SEC_DEFAULT_ENCRYPTION = REQUIRED",
        "SEC_DEFAULT_INTEGRITY = REQUIRED",
        "SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS",
        "SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS",
    ],
)
def test_no_job_runs_as_a_user_of_the_machine_and_nothing_is_said_in_clear(line: str) -> None:
    assert line in configuration(bundle(point(), token="t", config_dir={})).splitlines()


def test_a_price_is_found_under_the_name_that_the_boot_script_makes_of_the_type() -> None:
    assert "AnnexPrice_m7i_flex_large = 0.0961\n" in configuration(bundle(point(), token="t", config_dir={}))


def test_user_data_hands_the_script_its_settings_whatever_characters_they_hold() -> None:
    url = "https://bucket.s3.amazonaws.com/config-x.tar.gz?X-Amz-Signature=a&x='$(id)'"
    text = user_data(source=url, lease_ends=ENDS, ends_at_latest=ENDS + timedelta(hours=16))
    header = text[: text.index("set -eu")]
    print_them = 'printf "%s|" "$BUNDLE_URL" "$BUNDLE_WITHIN" "$LEASE_ENDS" "$ENDS_AT_LATEST"'
    said = subprocess.run(["sh"], input=header + print_them, capture_output=True, text=True, check=True).stdout
    assert said.split("|")[:4] == [url, "300", "2026-11-21T08:30:00Z", "2026-11-22T00:30:00Z"]


def test_user_data_is_a_script_to_cloud_init() -> None:
    assert user_data(source="https://x", lease_ends=ENDS, ends_at_latest=ENDS).startswith("#!/bin/sh\n")


def test_user_data_leaves_room_for_the_longest_presigned_url() -> None:
    assert len(user_data(source="https://" + "x" * 3000, lease_ends=ENDS, ends_at_latest=ENDS)) < USER_DATA_LIMIT


def test_user_data_that_ec2_would_refuse_is_refused_here() -> None:
    with pytest.raises(Refused, match="EC2 takes 16384"):
        user_data(source="x" * USER_DATA_LIMIT, lease_ends=ENDS, ends_at_latest=ENDS)
