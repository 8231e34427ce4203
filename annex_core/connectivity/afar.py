"""The same question put to a function in the account, and its answers back: what travels is JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from annex_core.connectivity import probe
from annex_core.connectivity.addresses import addresses
from annex_core.connectivity.answer import Answer, Verdict

_ALL_WITHIN_S = 15.0
"""For all addresses, in which the one who asks the function is still there."""


def question(collectors: str, trust_domain: str) -> dict[str, str]:
    """
    Args:
        collectors: As in COLLECTOR_HOST.
        trust_domain: Of the pool whose collectors they should be.
    """
    return {"collectors": collectors, "trust_domain": trust_domain}


def is_question(event: object) -> bool:
    return isinstance(event, Mapping) and {"collectors", "trust_domain"} <= event.keys()


def answered(event: Mapping[str, str]) -> dict[str, Any]:
    """
    In the function: ask.

    Raises:
        ValueError: There is no such address.
    """
    wanted = addresses(event["collectors"])
    patience_s = min(probe.PATIENCE_S, _ALL_WITHIN_S / len(wanted))
    found = [probe.ask(address, event["trust_domain"], patience_s=patience_s) for address in wanted]
    return {"answers": [_packed(each) for each in found]}


def read(payload: object) -> Sequence[Answer] | None:
    """What the function answered; None where it does not know such questions, as one of an older version."""
    if not isinstance(payload, Mapping) or "answers" not in payload:
        return None
    return [_unpacked(each) for each in payload["answers"]]


def _packed(answer: Answer) -> dict[str, str | None]:
    return {
        "address": str(answer.address),
        "verdict": answer.verdict.name,
        "reached": answer.reached,
        "trust_domain": answer.trust_domain,
        "version": answer.version,
    }


def _unpacked(packed: Mapping[str, str | None]) -> Answer:
    (address,) = addresses(packed["address"] or "")
    return Answer(
        address, Verdict[packed["verdict"] or ""], packed["reached"], packed["trust_domain"], packed["version"]
    )
