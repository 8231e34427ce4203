"""What people read: numbers with their nouns, and one full stop where a sentence ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.model.annex import LaunchState
from annex_core.model.snapshot import RegionView
from annex_core.model.wording import clause, counted, size
from tests.unit.world import NOW, REGION, ROUTE, fleet, group, launch, living, sentence, snapshot

SAID = "Ordered by a fault of the rehearsal."
MINUTE = timedelta(minutes=1)


@given(st.integers(2, 1000))
def test_one_is_one_and_all_else_many(number):
    assert counted(1, "GPU") == "1 GPU"
    assert counted(0, "GPU") == "0 GPUs"
    assert counted(number, "GPU") == f"{number} GPUs"


def test_a_size_is_told_in_gigabytes_where_it_is_a_whole_number_of_them():
    assert [size(mib) for mib in (0, 1023, 1024, 1500, 50 * 1024)] == ["0 MB", "1023 MB", "1 GB", "1500 MB", "50 GB"]


def test_a_request_that_is_too_large_is_told_as_its_user_types_it():
    assert "it asks for 50 GB of disk, a machine has 16 GB" in sentence(snapshot([group(disk_kib=50 * 1024**2)]))
    assert "it asks for 100 GB of memory, the roomiest type, c5.4xlarge, has" in sentence(
        snapshot([group(memory_mib=100 * 1024)])
    )


def test_a_request_that_is_too_large_by_a_little_is_not_told_as_what_a_machine_has():
    assert "it asks for 16385 MB of disk, a machine has 16 GB" in sentence(snapshot([group(disk_kib=16 * 1024**2 + 1)]))


@given(st.text())
def test_a_clause_ends_in_no_full_stop_and_is_otherwise_as_it_was(text):
    assert not clause(text).endswith((".", " "))
    assert text.startswith(clause(text))


@pytest.mark.parametrize(
    "of",
    [
        living(
            [group()],
            at=RegionView(),
            launches=[launch(state=LaunchState.REFUSED, reason=SAID, fleet=None, intended=NOW - MINUTE)],
        ),
        living([group()], at=RegionView([], [fleet()]), launches=[launch()], obstacles={"t1": SAID}),
        snapshot([group()], frozen={REGION: SAID}),
        snapshot([group()], routes={}, refused_routes={"spot": SAID}),
    ],
    ids=["refused", "not-filled", "frozen", "route"],
)
def test_what_others_said_brings_no_full_stop_of_its_own(of):
    assert "Ordered by a fault of the rehearsal" in sentence(of)
    assert sentence(of).endswith(".")
    assert not {"..", ".)", ".;"} & {sentence(of)[at : at + 2] for at in range(len(sentence(of)))}


def test_a_single_gpu_and_a_single_machine_are_singular():
    assert "it asks for 1 GPU," in sentence(snapshot([group(gpus=1)]))
    one = {"spot": replace(ROUTE, max_instances=1)}
    assert "the cap of 1 machine is reached" in sentence(snapshot([group(idle=99)], routes=one))
