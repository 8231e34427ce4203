"""
Bad input and bad days, and the tests that would fail if one of them were not got through.

PROOFS is the list; a test that is renamed or taken away fails here. What no other file proves is proved below it.
"""

from datetime import timedelta

import pytest

from annex_core.errors import NotPermitted
from annex_core.model.supply import InstanceState
from tests.unit.test_provisioner import Daemon
from tests.unit.test_withdrawn_faults import defined_in
from tests.unit.world import ALICE, group, instance, slot

MINUTE = timedelta(minutes=1)

PROOFS = {
    "an option without its value": (
        "contract/test_command_lines.py::test_an_option_without_its_value_is_refused_by_name",
        "unit/test_old_options.py::test_an_option_without_its_value_is_refused_by_name",
    ),
    "an option that stands twice": (
        "contract/test_command_lines.py::test_an_option_that_stands_twice_is_refused_by_name",
        "unit/test_old_options.py::test_an_option_that_stands_twice_is_refused_by_name",
    ),
    "options that contradict each other, or are out of range": (
        "contract/test_command_lines.py::test_what_contradicts_itself_or_is_out_of_range_is_refused",
        "contract/test_commands_by_hand.py::test_a_command_line_that_makes_no_sense_is_told_so_and_rents_nothing",
        "contract/test_requests.py::test_a_create_can_not_be",
        "unit/test_old_options.py::test_senseless_command_lines_say_what_is_wrong",
        "unit/test_old_options.py::test_senseless_command_lines_of_the_script_say_what_is_wrong",
    ),
    "a JSON file that is empty, a directory, a list, 10 MB": (
        "contract/test_old_command_lines.py::test_a_fleet_file_that_is_none_is_refused_by_name",
        "unit/test_user_files.py::test_what_is_no_fleet_file_is_refused_by_name",
    ),
    "a fleet file with another's IamFleetRole": (
        "unit/test_fleet_file.py::test_another_accounts_role_is_refused",
        "unit/test_commands.py::test_a_fleet_configuration_with_the_role_of_another_account_is_refused",
    ),
    "names over 27 and over 64 characters, with an underscore or a dot": (
        "contract/test_command_lines.py::test_a_name_that_no_annex_can_have_is_refused_before_anybody_is_asked",
        "contract/test_command_lines.py::test_a_name_that_the_withdrawn_tool_cut_is_asked_for_whole",
        "unit/test_withdrawn_faults.py::test_every_name_that_may_be_is_found_by_the_boot_service",
        "pool/test_submit_commands.py::test_refused_with_a_reason",
    ),
    "a, ab and a-b alive together while a ends": (
        "unit/test_withdrawn_faults.py::test_of_a_and_ab_and_a_b_only_the_one_whose_lease_is_over_ends",
        "unit/test_orders.py::test_names_are_matched_whole",
        "unit/test_commands.py::test_names_are_matched_whole",
        "unit/test_freeze.py::test_it_covers_by_whole_words",
    ),
    "the bucket is another account's": (
        "aws/test_account.py::test_a_bucket_of_another_account_is_said_and_leaves_nothing_half_made",
        "aws/test_account.py::test_another_s_bucket_of_our_name_is_neither_emptied_nor_listed",
    ),
    "a stack in ROLLBACK_COMPLETE": (
        "aws/test_account.py::test_a_stack_that_was_rolled_back_is_made_anew",
        "unit/test_stacks.py::test_what_failed_before_is_deleted_and_made_anew",
    ),
    "a role that is not yet visible": (
        "aws/test_account.py::test_a_role_that_aws_shows_some_time_after_it_was_made_is_waited_for",
    ),
    "a clock that is wrong by ten minutes": (
        "aws/test_errors_of_aws.py::test_where_the_clock_is_wrong_it_is_said_to_be",
        "unit/test_commands.py::test_it_is_too_late_to_extend_when_it_is_by_aws_s_clock",
        "unit/test_commands.py::test_a_clock_that_runs_ahead_makes_nothing_too_late",
        "unit/test_commands.py::test_a_lease_lasts_as_long_as_was_asked_for_by_aws_s_clock",
        "unit/test_retagging.py::test_a_clock_that_runs_ahead_of_aws_ends_nothing_early",
        "unit/test_retagging.py::test_where_our_clock_is_behind_nothing_is_launched_that_aws_s_clock_ends_at_once",
    ),
    "a region without the type": (
        "unit/test_commands.py::test_a_type_that_the_region_does_not_have_is_refused_by_name",
        "unit/test_commands.py::test_of_several_types_the_one_that_the_region_does_not_have_is_not_promised",
        "unit/test_provisioner.py::test_a_type_that_the_region_does_not_have_is_not_asked_for",
        "aws/test_ec2_inventory.py::test_a_type_that_the_region_lacks_is_absent",
    ),
    "key files that others may read": (
        "aws/test_account_credentials.py::test_key_files_that_others_may_read_are_refused",
    ),
    "credentials that expire in mid-life": (
        "unit/test_bad_days.py::test_credentials_that_expire_cost_no_machine_and_are_said_until_they_return",
        "unit/test_bad_days.py::test_a_lease_that_ends_while_credentials_are_expired_is_ended_when_they_return",
        "aws/test_ec2_session.py::test_credentials_renewed_in_the_file_sign_the_next_call",
    ),
    "two creates at once for one name": (
        "unit/test_commands.py::test_of_creates_at_once_for_one_name_each_is_quoted_beside_the_others",
        "unit/test_commands.py::test_two_creates_together_can_not_pass_the_cap",
    ),
    "a teardown that is interrupted": (
        "aws/test_account.py::test_an_interrupted_teardown_is_gone_on_with",
        "aws/test_account.py::test_a_teardown_interrupted_while_a_stack_goes_is_gone_on_with",
    ),
}


@pytest.mark.parametrize("day", PROOFS)
def test_each_bad_day_has_its_tests(day):
    missing = [each for each in PROOFS[day] if each.partition("::")[2] not in defined_in(each.partition("::")[0])]
    assert not missing


# Credentials that expire


EXPIRED = "DescribeInstances: ExpiredToken: the security token included in the request is expired"


@pytest.fixture
def daemon(tmp_path):
    """alice's annex runs a job on the one machine that it asked for."""
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    made.cycle()
    made.cloud.listed_instances = [instance(fleet="sfr-0", state=InstanceState.RUNNING, launched=made.now)]
    made.slots.advertised = [slot(free_cpus=1)]
    made.queue.groups = []
    made.cycle(after=MINUTE)
    yield made
    made.journal.close()


def expire(daemon, cycles):
    daemon.cloud.errors["instances"] = [NotPermitted(EXPIRED) for _ in range(cycles)]


def test_credentials_that_expire_cost_no_machine_and_are_said_until_they_return(daemon):
    (before,) = daemon.journal.annexes()
    asked = len(daemon.cloud.documents)
    daemon.queue.groups = [group(idle=49)]
    expire(daemon, 3)
    for _ in range(3):
        daemon.cycle(after=3 * MINUTE)
        assert "ExpiredToken" in daemon.last_said
    assert (daemon.cloud.terminated, daemon.cloud.cancelled, len(daemon.cloud.documents)) == ([], [], asked)
    assert daemon.journal.annexes() == (before,)
    daemon.cycle(after=3 * MINUTE)
    assert len(daemon.cloud.documents) == asked + 1
    assert "ExpiredToken" not in daemon.last_said


def test_a_lease_that_ends_while_credentials_are_expired_is_ended_when_they_return(daemon):
    (life,) = daemon.journal.annexes()
    expire(daemon, 2)
    daemon.cycle(after=life.lease_ends - daemon.now + MINUTE)
    daemon.cycle(after=MINUTE)
    assert {each.key for each in daemon.journal.annexes()} == {ALICE}
    daemon.cycle(after=MINUTE)
    assert daemon.cloud.terminated == ["i-1"]
