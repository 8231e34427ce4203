"""What an administrator can do about an address that the cloud will not reach. Pure."""

import ipaddress
from collections.abc import Sequence

from annex_core.connectivity.answer import Answer, Verdict


def line(answer: Answer) -> str:
    """What was found, in a line."""
    where = f" ({answer.reached})" if answer.reached and answer.reached != answer.address.host else ""
    who = f", HTCondor {answer.version} of {answer.trust_domain}" if answer.trust_domain else ""
    return f"{answer.address}{where}: {answer.verdict.value}{who}"


def cure(answer: Answer, trust_domain: str) -> str | None:
    """What to do; None where there is nothing."""
    address = answer.address
    match answer.verdict:
        case Verdict.COLLECTOR:
            return None
        case Verdict.OTHER_POOL:
            return (
                f"machines would be refused there: their tokens are for {trust_domain}. Name this pool's annex"
                " collector in ANNEX_COLLECTOR_HOST, or give both one TRUST_DOMAIN"
            )
        case Verdict.NO_COLLECTOR if address.sock:
            return f"is {address.sock} what the collector is called at that shared port (-sock in its arguments)?"
        case Verdict.NO_COLLECTOR:
            return "name the annex collector's own port (ANNEX_COLLECTOR_PORT), or a shared port with ?sock=NAME"
        case Verdict.NO_SUCH_NAME:
            return "give a name that the cloud can resolve, or an IP address"
        case Verdict.REFUSED:
            return f"start the collector, or let what forwards to it listen at port {address.port}"
        case Verdict.SILENT | Verdict.UNREACHABLE:
            return f"let TCP to {address.host}, port {address.port}, pass through every firewall from the cloud"


def obstacle(answers: Sequence[Answer], trust_domain: str) -> str | None:
    """
    Why no machine could report, by what was answered from inside AWS; None while one might.

    A private address, or a name that only a private network knows, may be reached from a subnet and not from a function
    outside of it: that it was not is no proof.
    """
    if not answers or not all(_is_public(each) and not each.good for each in answers):
        return None
    first = answers[0]
    return f"{line(first)}; {cure(first, trust_domain)}"


def _is_public(answer: Answer) -> bool:
    try:
        return ipaddress.ip_address(answer.reached or "").is_global
    except ValueError:
        return False


def doubts(answers: Sequence[Answer]) -> list[str]:
    """Of what an answer that came here is no proof: addresses that mean something else in the cloud, or nothing."""
    told = []
    for answer in answers:
        try:
            ip = ipaddress.ip_address(answer.reached or "")
        except ValueError:
            continue
        if ip.is_loopback:
            told.append(f"{answer.address} is {ip}: in the cloud that is each machine itself")
        elif ip.is_link_local:
            told.append(f"{answer.address} is {ip}: that is not routed at all")
        elif ip.is_private:
            told.append(f"{answer.address} is {ip}, a private address: the cloud needs a VPN or a peering to reach it")
    return told
