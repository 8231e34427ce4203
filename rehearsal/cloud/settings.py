"""The knobs of a local cloud that may be turned while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Settings:
    """Durations are seconds of the cloud's clock."""

    boot_delay_s: float = 0.0
    """From launch until the machine is started; the instance is `pending` meanwhile."""
    boot_jitter_s: float = 0.0
    """At most so much is added to it, evenly spread, the same in every run with the same seed."""
    tag_delay_s: float = 0.0
    """Until AWS's own fleet tag reaches an instance, and until a tag that changed shows in instance metadata."""
    fill_delay_s: float = 0.0
    """From RequestSpotFleet until its first instances are launched."""
    fill_fraction: float = 1.0
    """The part of a fleet's target that fills then."""
    fill_rest_after_s: float | None = None
    """When the rest fills, from the request on; None is never: it stays as open spot requests."""
    stack_delay_s: float = 0.0
    """From CreateStack, UpdateStack and DeleteStack until the stack is said to be what it became."""
    spot_price_factor: float = 1.0
    """What all Spot prices are multiplied by; on-demand ones stay."""
    notice_s: float = 120.0
    """From the notice that a Spot instance is taken back until it is."""
    vcpu_quota: float = 10000
    """Of every class of instances, Spot or on-demand, as Service Quotas tells it; no launch is counted against it."""
    page_size: int = 1000
    """Items on a page of a listing when the caller gave no MaxResults; at least 1."""

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """
        Raises:
            ValueError: A name is unknown or a value can't be; the sentence says which.
        """
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"no setting is called {name}; there are {', '.join(sorted(known))}")
            if value is None and name == "fill_rest_after_s":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} must be a number, 0 or more")
        made = replace(self, **changes)  # type: ignore[arg-type] # checked just above
        if made.fill_fraction > 1:
            raise ValueError("fill_fraction is at most 1")
        if not isinstance(made.page_size, int) or made.page_size < 1:
            raise ValueError("page_size must be a whole number, 1 or more")
        return made
