"""
The boot script and the bundle on instances of the local cloud, with real HTCondor on both sides.

The access point is one of this file's own, as plain as can be: how jobs are steered is proven elsewhere.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rehearsal.image import Images
from tests.pool.boot_site import HOUR, Site, eventually, standing


@pytest.fixture(scope="module")
def site(images: Images, mount_point: Path, cloud: str) -> Iterator[Site]:
    with standing(images, mount_point, cloud) as site:
        yield site


@pytest.fixture(scope="module")
def blue(site: Site) -> str:
    """An instance of alice's annex blue."""
    instance = site.launch("blue")
    site.wait_for_slot(instance)
    return instance


def test_its_slot_says_whose_annex_it_is_and_at_what_price(site: Site, blue: str) -> None:
    slot = site.slot(blue)
    wanted = {
        "AnnexName": "blue",
        "IsAnnex": True,
        "AnnexProject": 'say "cheese" for $(LOG)',
        "AnnexRoute": "aws",
        "EC2InstanceType": "c5.large",
        "AnnexHourlyPrice": 0.0961,
        "AuthenticatedIdentity": "annex-alice.blue@boot.test",
    }
    assert {name: slot.get(name) for name in wanted} == wanted


def test_a_job_of_the_annex_runs_with_its_files_in_and_out(site: Site, blue: str) -> None:
    assert site.run("tr a-z A-Z < in > made", "blue")["made"] == "TEXT\n"


def test_a_job_runs_as_nobody(site: Site, blue: str) -> None:
    assert site.run("id -un", "blue")["out"] == "nobody\n"


def test_a_job_that_asks_for_the_metadata_address_is_refused(site: Site, blue: str) -> None:
    script = "curl -s -m 5 -X PUT http://169.254.169.254/latest/api/token; echo $?"
    assert site.run(script, "blue")["out"] == "7\n"


def test_a_job_can_read_neither_the_token_nor_the_user_data(site: Site, blue: str) -> None:
    script = (
        "cat /etc/condor/config.d/annex-tokens/annex /var/lib/cloud/user-data; ls -A /etc/condor/config.d/annex-tokens"
    )
    said = site.run(script, "blue")
    assert said["out"] == ""
    assert said["err"].count("Permission denied") == 3


def test_a_job_can_not_command_the_machine_it_runs_on(site: Site, blue: str) -> None:
    said = site.run("condor_off -master; condor_config_val -startd -rset START=true; condor_drain $(hostname)", "blue")
    assert "AUTHENTICATE" in said["err"]
    assert site.run("echo still here", "blue")["out"] == "still here\n"


def test_an_administrator_can_drain_it_from_the_access_point(site: Site, blue: str) -> None:
    slot = site.slot(blue)
    site.ap.run(["condor_drain", "-graceful", slot["Machine"]])
    eventually(lambda: site.slot(blue).get("State") == "Drained", "the draining")
    site.ap.run(["condor_drain", "-cancel", slot["Machine"]])
    eventually(lambda: site.slot(blue).get("State") == "Unclaimed", "the end of draining")


def test_only_the_owners_jobs_that_named_the_annex_and_can_end_in_time_run_on_it(site: Site, blue: str) -> None:
    others = [
        site.submit("bob", "echo", TargetAnnexName='"blue"'),
        site.submit("alice", "echo", TargetAnnexName='"Blue"'),
        site.submit("alice", "echo"),
        site.submit("alice", "echo", TargetAnnexName='"blue"', allowed_execute_duration="7200"),
    ]
    in_time = site.submit("alice", "echo", TargetAnnexName='"blue"', allowed_execute_duration="600")
    eventually(lambda: site.job(in_time)["JobStatus"] == 4, "the job that can end in time")
    site.run("echo", "blue")  # another cycle of the negotiator
    assert [site.job(job)["JobStatus"] for job in others] == [1, 1, 1, 1]
    site.ap.run(["condor_rm", *others])


def test_a_lease_moved_by_its_tag_is_in_the_slot_ad_and_its_end_sends_the_job_back_to_the_queue(
    site: Site, blue: str
) -> None:
    deaf = "trap '' TERM; while :; do sleep 1; done"
    job = site.submit("alice", deaf, TargetAnnexName='"blue"')
    eventually(lambda: site.job(job)["JobStatus"] == 2, "the job's start")
    extended = datetime.now(UTC) + 3 * HOUR
    site.tag_lease(blue, extended)
    moment = int(extended.timestamp())
    eventually(lambda: site.slot(blue).get("AnnexLeaseEnds") == moment, "the moved lease in the slot ad")
    site.tag_lease(blue, datetime.now(UTC) + timedelta(seconds=50))
    console = site.wait_for_end(blue)
    assert "last minute of the lease: jobs are asked to leave" in console
    assert site.job(job)["JobStatus"] == 1
    site.ap.run(["condor_rm", job])


def test_without_work_it_ends_by_itself(site: Site) -> None:
    instance = site.launch("idle", idle=10)
    site.wait_for_slot(instance)
    console = site.wait_for_end(instance)
    assert "powering off: condor_master has ended (status 0)" in console


def test_without_its_bundle_it_ends_by_itself(site: Site) -> None:
    console = site.wait_for_end(site.launch("lost", stored=False))
    assert "powering off: no bundle after 2 s" in console


@pytest.fixture(scope="module")
def iptables(site: Site) -> None:
    rule = ["iptables", "-A", "OUTPUT", "-d", "192.0.2.1", "-m", "owner", "--uid-owner", "1", "-j", "REJECT"]
    if site.ap.run(rule, check=False).returncode:
        pytest.skip("this kernel's iptables knows no owners")


@pytest.mark.usefixtures("iptables")
def test_an_image_without_ip_closes_the_metadata_address_by_iptables(site: Site) -> None:
    console = site.wait_for_end(site.launch("bare", idle=5, first="rm -f /usr/bin/ip /usr/sbin/ip"))
    assert "metadata is closed to all but root, by iptables" in console


@pytest.mark.usefixtures("iptables")
def test_jobs_come_to_an_instance_that_takes_no_connection_from_outside(site: Site) -> None:
    site.launch("walled", idle=5, first="iptables -A INPUT -i eth0 -p tcp --syn -j DROP")
    assert site.run("tr a-z A-Z < in > made", "walled")["made"] == "TEXT\n"


def test_an_image_that_can_not_close_the_metadata_address_never_starts_htcondor(site: Site) -> None:
    no_tools = "rm -f /usr/bin/ip /usr/sbin/ip /usr/sbin/*tables* /usr/sbin/nft"
    console = site.wait_for_end(site.launch("open", first=no_tools))
    assert "powering off: the metadata address stays open to jobs" in console
    assert "condor_master runs" not in console
