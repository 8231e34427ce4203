"""Routes that are wrong, that both match, or that copy jobs; job ads that are large."""

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import CONDOR_ANNEX, Annexes, tags


class TestARouteThatIsWrong:
    """It is refused by name and reason; the others work."""

    @pytest.fixture(
        params=[
            (
                "",
                {"AnnexInstanceTypes": "c5.large, c5.lagre"},
                "AWS has no instance type c5.lagre; did you mean c5.large",
            ),
            ("", {"AnnexImage": None}, "AnnexImage is missing"),
            ("if defined\n", {}, "if"),
        ],
        ids=["unknown type", "no image", "does not parse"],
    )
    def reason(self, annexes: Annexes, request: pytest.FixtureRequest) -> str:
        lines, macros, reason = request.param
        annexes.route("wrong", 'TargetAnnexName == "wrong"', lines, **macros)
        return str(reason)

    def test_lint_names_it_and_its_line_and_fails(self, pool: Pool, reason: str) -> None:
        said = pool.ap.run([CONDOR_ANNEX, "lint"], user="alice", check=False)
        (finding,) = [line for line in said.stdout.splitlines() if "error: route wrong: " in line]
        assert reason in finding
        assert finding.startswith("/etc/condor/config.d/70-annex-routes-of-a-test.config:")
        assert said.returncode == 1

    def test_status_tells_why(self, pool: Pool, annexes: Annexes, reason: str) -> None:
        refused = pool.wait_for(lambda: annexes.status()["refused_routes"], "the refusal in the status")
        assert reason in refused["wrong"]

    def test_other_routes_serve_their_jobs(self, pool: Pool, annexes: Annexes, reason: str) -> None:
        pool.wait_for_job(annexes.submit("beside-wrong"))


def test_lint_names_the_line_of_a_pool_wide_macro_that_is_wrong(pool: Pool) -> None:
    snippet = "/etc/condor/config.d/72-pool-wide.config"
    pool.ap.write(snippet, "# why\nAnnexVolumeGiB = big\n")
    try:
        said = pool.ap.run([CONDOR_ANNEX, "lint"], user="alice", check=False)
    finally:
        pool.ap.run(["rm", snippet])
    assert f"{snippet}:2: error: route rehearsal: AnnexVolumeGiB: 'big'" in said.stdout
    assert said.returncode == 1


class TestARouteThatWasGood:
    def test_stays_in_force_as_it_was_and_is_reported(self, pool: Pool, annexes: Annexes) -> None:
        condition = 'TargetAnnexName == "good-once"'
        annexes.route("good_once", condition, AnnexInstanceTypes="c5.large")
        annexes.route("good_once", condition, AnnexInstanceTypes="c5.lagre")
        pool.wait_for_job(annexes.submit("good-once"))
        assert [each["InstanceType"] for each in annexes.instances("good-once")] == ["c5.large"]
        assert "good_once" in annexes.status()["refused_routes"]

    def test_is_read_again_at_condor_reconfig(self, annexes: Annexes) -> None:
        condition = 'TargetAnnexName == "changed"'
        annexes.route("changed", condition, AnnexInstanceTypes="c5.large", AnnexMaxInstances="0")
        cluster = annexes.submit("changed")
        annexes.wait_said(cluster, "the cap of 0 machines is reached")
        annexes.route("changed", condition, AnnexInstanceTypes="m5.large", AnnexMaxInstances="1")
        annexes.wait_running(cluster)
        assert [each["InstanceType"] for each in annexes.instances("changed")] == ["m5.large"]


def test_jobs_that_spill_from_one_route_to_the_next_get_one_annex_by_one_recipe(pool: Pool, annexes: Annexes) -> None:
    condition = 'TargetAnnexName == "both"'
    annexes.route("both_a", condition, AnnexInstanceTypes="c5.large", MaxIdleJobs="2")
    annexes.route("both_b", condition, AnnexInstanceTypes="m5.large")
    cluster = annexes.submit("both", jobs=8)
    jobs = pool.wait_for_job(cluster)
    assert {job["AnnexRoute"] for job in jobs} == {"both_a", "both_b"}
    recipes = {(tags(each)["htcondor:Route"], each["InstanceType"]) for each in annexes.instances("both")}
    assert len(recipes) == 1


COPIED = """\
executable = job.sh
arguments = $(ProcId)
transfer_input_files = in.$(ProcId)
transfer_output_files = made.$(ProcId)
output = out.$(ProcId)
should_transfer_files = yes
request_memory = 64
request_disk = 1024
annex_name = copied
queue 2
"""


class TestARouteThatCopiesJobs:
    @pytest.fixture(autouse=True)
    def _copying(self, annexes: Annexes) -> None:
        annexes.route("copied", 'TargetAnnexName == "copied"', EditJobInPlace="False", AnnexInstanceTypes="c5.large")

    def test_brings_files_there_and_back(self, pool: Pool, annexes: Annexes) -> None:
        script = "#!/bin/sh\necho working\ntr a-z A-Z < in.$1 > made.$1\n"
        files = {"job.sh": script, "in.0": "zero\n", "in.1": "one\n"}
        cluster = pool.submit("alice", COPIED, files)
        jobs = pool.wait_for_job(cluster)
        assert [pool.output(cluster, name) for name in ("made.0", "made.1", "out.0")] == [
            "ZERO\n",
            "ONE\n",
            "working\n",
        ]
        assert {(job["JobStatus"], job["ExitCode"]) for job in jobs} == {(4, 0)}

    def test_counts_each_job_once(self, pool: Pool, annexes: Annexes) -> None:
        pool.submit("alice", COPIED, {"job.sh": "#!/bin/sh\nsleep 1000\n", "in.0": "", "in.1": ""})
        pool.wait_for(lambda: annexes.of("copied").get("jobs", {}).get("running") == 2, "two running jobs")
        assert annexes.of("copied")["jobs"] == {"idle": 0, "running": 2, "at_home": 0, "held": 0}
        assert len(annexes.alive("copied")) == 1  # of two CPUs

    def test_a_removed_job_takes_its_copy_along(self, pool: Pool, annexes: Annexes) -> None:
        cluster = pool.submit("alice", COPIED, {"job.sh": "#!/bin/sh\nsleep 1000\n", "in.0": "", "in.1": ""})
        pool.wait_for(lambda: annexes.of("copied").get("jobs", {}).get("running") == 2, "two running jobs")
        pool.ap.run(["condor_rm", str(cluster)], user="alice")
        pool.wait_for(lambda: not pool.jobs(), "an empty queue")


@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_a_job_ad_of_that_many_bytes_is_routed_and_runs(pool: Pool, annexes: Annexes, size: int) -> None:
    cluster = annexes.submit(f"large-{size}", commands=f'+Ballast = "{"x" * size}"')
    (job,) = pool.wait_for_job(cluster)
    assert (job["AnnexRoute"], len(job["Ballast"])) == ("rehearsal", size)
    assert job["MachineAttrAnnexName0"] == f"large-{size}"
