"""What condor_submit -dry-run prints, read as jobs and counted by what a machine is chosen by."""

import sys

import pytest

from annex_core.adapters import dry_run
from annex_core.adapters.dry_run import jobs_of, submission, transformed
from annex_core.errors import BadRequest, Refused, Unavailable

PRINTED = """
ClusterId=1
Cmd="/bin/sleep"
Args="0"
QDate=1795676399
annex_name="blue"
RequestCpus=1 + (0 % 2)
RequestDisk=DiskUsage
DiskUsage=43
Requirements=(TARGET.Cpus >= RequestCpus)
ProcId=0
JobStatus=1

ProcId=1
Args="1"
RequestCpus=1 + (1 % 2)

ProcId=2
Args="2"
RequestCpus=1 + (2 % 2)
DiskUsage=99

ClusterId=2
Cmd="/bin/date"
Args="3"
annex_name="blue"
RequestCpus=1
Requirements=true
ProcId=0
"""
"""As 23.9.6 writes it, shortened: the first job of a cluster whole, of the others what differs."""


def put(folder, **programs):
    """Stand-ins for HTCondor's programs, by their names, of these lines of Python."""
    for name, lines in programs.items():
        file = folder / name
        file.write_text("\n".join([f"#!{sys.executable}", "import sys", *lines, ""]))
        file.chmod(0o755)


@pytest.fixture
def condor(tmp_path, monkeypatch):
    """A condor_submit and a condor_transform_ads that print what they are told to."""

    def made(printed=PRINTED, *, status=0, said="", late=None):
        submit = [
            f"factory, jobs = {late!r}, {printed!r}",
            "whole = factory is None or 'max_idle =' in sys.argv",
            "open(sys.argv[2], 'w').write(jobs if whole else factory)",
            f"print({said!r}, file=sys.stderr)",
            f"sys.exit({status})",
        ]
        transform = ["print(sys.stdin.read())", "sys.exit(1)"]
        put(tmp_path, condor_submit=submit, condor_transform_ads=transform)
        monkeypatch.setenv("PATH", str(tmp_path))

    return made


def kinds(found):
    return [(each.ad["Cmd"], each.ad["RequestCpus"], each.jobs) for each in found.kinds]


def test_each_job_is_what_its_cluster_is_but_for_what_it_says_itself():
    first, second, third, other = jobs_of(PRINTED)
    assert (second["Cmd"], second["Args"], second["RequestCpus"]) == ('"/bin/sleep"', '"1"', "1 + (1 % 2)")
    assert (third["DiskUsage"], second["DiskUsage"]) == ("99", "43")
    assert (other["Cmd"], "DiskUsage" in other) == ('"/bin/date"', False)
    assert first["ProcId"] == "0"


def test_jobs_are_counted_by_what_a_machine_is_chosen_by_and_what_that_refers_to(condor):
    """Two of the first cluster ask for the same sum, and one of these for another disk."""
    condor()
    assert kinds(submission(["job.sub"])) == [
        ('"/bin/sleep"', "1", 1),
        ('"/bin/sleep"', "2", 1),
        ('"/bin/sleep"', "1", 1),
        ('"/bin/date"', "1", 1),
    ]
    condor(PRINTED.replace("DiskUsage=99\n", ""))
    assert kinds(submission(["job.sub"]))[0] == ('"/bin/sleep"', "1", 2)


def test_what_a_transform_looks_at_tells_jobs_apart(condor):
    condor(PRINTED.replace("DiskUsage=99\n", ""))
    assert len(submission(["job.sub"], looked_at=["EVALSET AnnexProject Args ?: Owner"]).kinds) == 4


def test_of_a_factory_all_jobs_count_and_so_many_wait_at_a_time(condor):
    condor(late="\nClusterId=1\nCmd=1\nRequestCpus=1\nJobMaterializeMaxIdle=7\nJobMaterializeLimit=20\n")
    found = submission(["job.sub"])
    assert (sum(each.jobs for each in found.kinds), found.at_a_time) == (4, 7)


def test_what_condor_submit_refuses_is_told_in_its_words(condor):
    condor(status=1, said="\nERROR: Failed to open command file (no.sub) (No such file or directory)\n")
    with pytest.raises(Refused, match=r"condor_submit: Failed to open command file \(no.sub\)"):
        submission(["no.sub"])


def test_a_submit_file_that_makes_no_job_is_refused(condor):
    condor("")
    with pytest.raises(Refused, match="makes no job"):
        submission(["job.sub"])


def test_more_kinds_than_can_be_asked_about_are_refused(condor, monkeypatch):
    monkeypatch.setattr(dry_run, "SHAPES", 2)
    condor()
    with pytest.raises(Refused, match="of 4 kinds, and 2 can be planned for"):
        submission(["job.sub"])


@pytest.mark.parametrize("option", ["-dry-run", "-dump", "-i", "-interactive", "-capabilities", "-dry-run:def"])
def test_options_that_make_no_sense_are_refused(option):
    with pytest.raises(BadRequest, match=option):
        submission([option, "job.sub"])


def test_without_htcondor_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="condor_submit can't be run"):
        submission(["job.sub"])


def test_ads_come_back_from_the_transforms_though_its_exit_status_is_one(condor):
    """condor_transform_ads of 23.9.6 exits with 1 where all is well."""
    condor()
    given = [{"A": "1", "B": '"x = y"'}, {"A": "2"}]
    assert transformed(given, ["One"], ["spot"]) == given
