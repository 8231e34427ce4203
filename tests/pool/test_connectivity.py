"""condor_annex check-connectivity against real daemons, each by itself and behind a shared port."""

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import CONDOR_ANNEX


def check(pool: Pool, *collector: str) -> tuple[int, str]:
    said = pool.ap.run([CONDOR_ANNEX, "check-connectivity", *collector], user="alice", check=False)
    return said.returncode, said.stdout


def test_the_annex_collector_answers_where_machines_report(pool: Pool) -> None:
    status, said = check(pool)
    assert ":9619 (172.31.240.3): a collector answers, HTCondor 23." in said
    assert "172.31.240.3, a private address" in said
    assert status == 0


def test_collectors_of_a_list_answer_with_and_without_their_name_at_a_shared_port(pool: Pool) -> None:
    status, said = check(pool, "cm.pool.test, cm.pool.test:9618?sock=collector")
    assert said.count(" a collector answers, HTCondor 23.") == 2
    assert status == 0


@pytest.mark.parametrize("sock", ["nobody", "schedd"])
def test_what_a_shared_port_has_beside_it_is_no_collector(pool: Pool, sock: str) -> None:
    if sock == "schedd":
        address = pool.ap.run(["condor_status", "-schedd", "-af", "MyAddress"]).stdout
        sock = address.split("sock=")[1].split("&")[0].strip().rstrip(">")
    status, said = check(pool, f"172.31.240.3:9618?sock={sock}")
    assert f"?sock={sock}: something listens there that is no collector" in said
    assert f"is {sock} what the collector is called" in said
    assert status == 1
