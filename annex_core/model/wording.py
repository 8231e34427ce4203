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


def span(seconds: float) -> str:
    """40s, 12m, 8h05m, 3d04h."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours}h{minutes:02}m" if hours else f"{minutes}m"
    return f"{hours // 24}d{hours % 24:02}h"


def clause(text: str) -> str:
    """What another wrote, without the full stop at its end: ours comes where our sentence ends."""
    return text.rstrip(" .\n")
