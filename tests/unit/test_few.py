"""A machine is filled with few groups as with many: the fast way and the general one agree to the last job."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.planner import rooms
from annex_core.planner.rooms import crowd
from tests.unit.world import group

groups = st.lists(
    st.builds(
        group,
        idle=st.integers(1, 500),
        cpus=st.integers(1, 48),
        memory_mib=st.integers(0, 100_000),
        disk_kib=st.integers(0, 20_000_000),
        gpus=st.integers(0, 4),
    ),
    min_size=1,
    max_size=12,
)
room = st.tuples(st.integers(1, 192), st.integers(0, 700_000), st.integers(0, 60_000_000), st.integers(0, 8))


@settings(max_examples=500, deadline=None)
@given(groups, room, st.randoms(use_true_random=False))
def test_the_fast_way_takes_what_the_general_one_takes(some, size, luck):
    all_ = crowd(some)
    left = np.array([each.idle for each in all_.groups], dtype=np.int64)
    may = np.array([luck.random() < 0.8 for _ in some], dtype=np.bool_)
    worth = np.array([luck.random() * 10 for _ in some]) if luck.random() < 0.5 else None
    free = np.array(size, dtype=np.float64)
    fast = all_.fill(free, left, may, worth=worth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "FEW", 0)
        assert all_.fill(free, left, may, worth=worth).tolist() == fast.tolist()
