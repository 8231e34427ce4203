import pytest

from annex_core.connectivity.addresses import Address, addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ap.example.org", [Address("ap.example.org", 9618)]),
        ("ap", [Address("ap", 9618)]),
        ("192.0.2.7:9619", [Address("192.0.2.7", 9619)]),
        ("ap.example.org:9618?sock=annex_collector", [Address("ap.example.org", 9618, "annex_collector")]),
        ("ap.example.org?sock=collector", [Address("ap.example.org", 9618, "collector")]),
        ("[2001:db8::7]:9620", [Address("2001:db8::7", 9620)]),
        ("[2001:db8::7]", [Address("2001:db8::7", 9618)]),
        ("2001:db8::7", [Address("2001:db8::7", 9618)]),
        ("[2001:db8::7]:9618?sock=c", [Address("2001:db8::7", 9618, "c")]),
        ("a.example.org, b.example.org:1 a.example.org", [Address("a.example.org"), Address("b.example.org", 1)]),
        (
            "<192.0.2.7:9618?addrs=192.0.2.7-9618+[2001-db8--7]-9619&alias=ap&noUDP&sock=annex%5fcollector>",
            [Address("192.0.2.7", 9618, "annex_collector"), Address("2001:db8::7", 9619, "annex_collector")],
        ),
    ],
)
def test_collectors_are_found_as_htcondor_writes_them(text: str, found: list[Address]) -> None:
    assert list(addresses(text)) == found
    assert [address for each in found for address in addresses(str(each))] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no collector"),
        (" , ", "it names no collector"),
        ("ap:0", "'0' is no port"),
        ("ap:99999", "'99999' is no port"),
        ("ap:http", "'http' is no port"),
        ("192.0.2.300", "no address of a collector"),
        ("[2001:db8::7", "no address of a collector"),
        ("2001:db8::7::1", "no address of a collector"),
        ("[ap.example.org]:9618", "no address of a collector"),
        ("http://ap.example.org", "no port"),
        ("ap_/x", "no address of a collector"),
        ("<192.0.2.7:9618?CCBID=192.0.2.1:9618#7&noUDP>", "through another collector"),
    ],
)
def test_what_is_no_address_is_refused_by_its_part(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        addresses(text)
