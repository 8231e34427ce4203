"""
What the tool before this one got wrong, and the tests that each fault would fail.

PROOFS is the list; a test that is renamed or taken away fails here. What no other file proves is proved below it.
"""

import ast
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.errors import Refused
from annex_core.model.names import ANNEX_NAME, AnnexKey, annex_id, bundle_key, client_token
from annex_core.model.order import Order
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ACCESS_POINT, NOW, annex, carried, group, instance

TESTS = Path(__file__).parent.parent

PROOFS = {
    "renewing a lease broke it for good": (
        "unit/test_commands.py::test_a_lease_is_renewed_again_and_again",
        "unit/test_retagging.py::test_an_extended_lease_is_written_to_fleets_first",
        "unit/test_reaper_run.py::test_a_lease_that_is_extended_while_the_reaper_looks_holds",
        "contract/test_boot_script.py::test_a_lease_that_was_extended_by_its_tag_goes_on",
    ),
    "the lease function deleted the bundle first and died before cancelling": (
        "unit/test_reaper_run.py::test_fleets_are_cancelled_with_termination_before_instances_are_ended",
        "unit/test_reaper_run.py::test_templates_go_only_after_everything_else_and_when_nothing_of_their_annex_is_left",
        "unit/test_provisioner.py::test_at_the_leases_end_all_is_ended_and_tidied_up",
    ),
    "names matched by prefix": (
        "unit/test_orders.py::test_names_are_matched_whole",
        "unit/test_withdrawn_faults.py::test_no_annexs_id_begins_with_anothers",
        "unit/test_withdrawn_faults.py::test_of_a_and_ab_and_a_b_only_the_one_whose_lease_is_over_ends",
    ),
    "a failed second request rolled back the running annex": (
        "unit/test_withdrawn_faults.py::test_a_second_order_that_aws_refuses_leaves_the_running_annex_alone",
        "unit/test_provisioner.py::test_one_annex_whose_launch_fails_does_not_stop_another",
    ),
    "a killed client left state nobody resumed": (
        "contract/test_commands_by_hand.py::test_a_client_that_is_gone_between_question_and_answer_leaves_nothing",
        "unit/test_provisioner.py::test_a_daemon_killed_between_the_request_and_its_answer_finds_the_fleet_by_its_token",
        "unit/test_provisioner.py::test_after_a_lost_answer_the_same_bytes_are_sent_and_one_fleet_results",
        "pool/test_bad_days_daemon.py::test_killed_it_asks_for_no_second_fleet_and_loses_none",
    ),
    "exit status 0 on failure": (
        "contract/test_old_command_lines.py::test_what_the_daemon_refuses_ends_with_1",
        "contract/test_old_command_lines.py::test_a_senseless_command_line_ends_with_2_and_a_sentence",
        "contract/test_commands_by_hand.py::test_what_aws_refuses_is_a_failure_with_its_reason",
        "contract/test_commands_by_hand.py::test_what_is_left_is_named_and_a_failure",
    ),
    "names with an underscore, or over 27 characters, never booted": (
        "unit/test_withdrawn_faults.py::test_every_name_that_may_be_is_found_by_the_boot_service",
        "unit/test_old_options.py::test_names_that_the_withdrawn_tool_cut_are_whole",
        "contract/test_old_command_lines.py::test_a_name_that_the_withdrawn_tool_cut_arrives_whole",
    ),
    "numbers in the fleet's JSON were dropped": (
        "aws/test_fleet_configurations.py::test_numbers_arrive_as_numbers_weights_and_prices_among_them",
        "unit/test_fleet_file.py::test_numbers_of_any_spelling_become_what_aws_takes",
    ),
    "over 11 attributes were refused": (
        "aws/test_fleet_configurations.py::test_more_attributes_than_the_withdrawn_tool_could_hold_arrive",
        "contract/test_spot_fleet_schema.py::test_the_schema_is_what_botocore_knows",
        "contract/test_spot_fleet_schema.py::test_each_attribute_has_a_fate",
    ),
    "no launch templates": (
        "aws/test_fleet_configurations.py::test_a_launch_template_is_copied_into_ours",
        "aws/test_fleet_configurations.py::test_a_template_that_would_defeat_the_lease_ends_the_order",
    ),
    "commas in tags split them": (
        "contract/test_old_command_lines.py::test_a_tag_reaches_the_daemon_whatever_its_value_holds",
        "aws/test_fleet_configurations.py::test_tags_arrive_whatever_they_hold_beside_the_annexs_own",
    ),
    "nothing was paginated": (
        "aws/test_ec2_inventory.py::test_every_page_of_instances_is_read",
        "aws/test_ec2_inventory.py::test_every_page_of_fleets_is_read",
        "aws/test_ec2_inventory.py::test_every_page_of_a_history_is_read",
    ),
    "temporary files kept the pool password": (
        "unit/test_withdrawn_faults.py::test_a_launch_leaves_its_token_in_no_file",
        "unit/test_bundle.py::test_the_token_is_nowhere_else",
    ),
    "fleets themselves were untagged": (
        "unit/test_provisioner.py::test_the_fleet_carries_the_annexs_tags",
        "aws/test_ec2_local_cloud.py::test_a_fleet_is_listed_as_it_was_asked_for",
    ),
    "shutdown found nothing while instances ran": (
        "unit/test_orders.py::test_at_once_cancels_fleets_and_ends_machines_whatever_runs",
        "unit/test_plan.py::test_what_is_due_is_cancelled_and_terminated_by_its_tags_though_the_journal_knows_nothing",
        "contract/test_old_command_lines.py::test_off_ends_the_annex",
    ),
}


@cache
def defined_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))


@pytest.mark.parametrize("fault", PROOFS)
def test_each_fault_has_its_tests(fault):
    missing = [each for each in PROOFS[fault] if each.partition("::")[2] not in defined_in(each.partition("::")[0])]
    assert not missing


NAMES = st.from_regex(ANNEX_NAME, fullmatch=True)
OWNERS = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=32)


@given(NAMES, NAMES, OWNERS, OWNERS)
def test_no_annexs_id_begins_with_anothers(name, other, owner, neighbour):
    keys = {AnnexKey(owner, name), AnnexKey(neighbour, other), AnnexKey(owner, name[:-1] or "a")}
    ids = [annex_id(key, access_point=ACCESS_POINT) for key in keys]
    assert not [(a, b) for i, a in enumerate(ids) for j, b in enumerate(ids) if i != j and b.startswith(a)]


@given(NAMES, OWNERS)
def test_every_name_that_may_be_is_found_by_the_boot_service(name, owner):
    """The service takes a client token of 64 characters at most, and asks for the bundle by the part before `_`."""
    its = annex_id(AnnexKey(owner, name), access_point=ACCESS_POINT)
    token = client_token(its, "f" * 32)
    assert len(token) <= 64
    assert token.partition("_")[0] == its
    assert bundle_key(its) == f"config-{its}.tar.gz"


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_of_a_and_ab_and_a_b_only_the_one_whose_lease_is_over_ends(daemon):
    over, lives = NOW, NOW.replace(hour=20)
    for name, ends in (("a", over), ("ab", lives), ("a-b", lives)):
        key = AnnexKey("alice", name)
        its = annex(key, lease_ends=ends)
        daemon.journal.begin(its)
        daemon.cloud.listed_instances.append(instance(f"i-{name}", tags=carried(key, its)))
    daemon.cycle()
    assert daemon.cloud.terminated == ["i-a"]


def test_a_second_order_that_aws_refuses_leaves_the_running_annex_alone(daemon):
    daemon.queue.groups = [group(idle=2)]
    daemon.cycle()
    (fleet,) = daemon.cloud.listed_fleets
    (its,) = daemon.journal.annexes()
    daemon.orders.place(its, Order("o1", its.id, NOW, "alice", instances=3))
    daemon.cloud.errors["request"] = [Refused("no such instance profile")]
    daemon.cycle()
    assert [each.id for each in daemon.cloud.listed_fleets if each.live] == [fleet.id]
    assert (daemon.cloud.cancelled, daemon.cloud.terminated, daemon.cloud.deleted) == ([], [], [])
    assert [each.id for each in daemon.journal.annexes()] == [its.id]


def test_a_launch_leaves_its_token_in_no_file(daemon, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "temporary")
    daemon.queue.groups = [group(idle=1)]
    daemon.cycle()
    token = f"token of {daemon.tokens.issued[0][0]}".encode()
    assert daemon.store.objects
    assert not [*(tmp_path / "temporary").iterdir()]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and token in file.read_bytes()]
