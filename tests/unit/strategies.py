"""What property tests draw from."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from tests.unit.world import ROUTE

capped_routes = st.builds(
    lambda instances, vcpus, hourly, budget: replace(
        ROUTE,
        max_instances=instances,
        max_vcpus=vcpus,
        max_hourly_cost=hourly,
        budget=budget,
        grow_interval=timedelta(0),
    ),
    st.integers(0, 40),
    st.none() | st.integers(0, 200),
    st.none() | st.decimals(0, 20, places=2),
    st.none() | st.decimals(0, 200, places=2),
)

ranks = st.sampled_from(
    [None, "0.0", "TARGET.Memory", "-TARGET.Cpus", 'TARGET.EC2InstanceType == "c5.xlarge"', "KFlops", "1 / 0"]
)
"""What jobs may say of the machines that they would rather have."""
