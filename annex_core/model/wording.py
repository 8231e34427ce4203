"""Numbers and others' words, as parts of our sentences."""

from annex_core.model.route import Market


def counted(number: int, noun: str) -> str:
    """1 machine, 2 machines."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sold(market: Market) -> str:
    """The market as an adjective; one that is not decided yet begins with Spot."""
    return "on-demand" if market is Market.ON_DEMAND else "Spot"


def size(mib: int) -> str:
    """As condor_submit takes and means it: 2 GB, or 1500 MB where it is no whole number of them."""
    gib, rest = divmod(mib, 1024)
    return f"{gib} GB" if gib and not rest else f"{mib} MB"


def clause(text: str) -> str:
    """What another wrote, without the full stop at its end: ours comes where our sentence ends."""
    return text.rstrip(" .\n")
