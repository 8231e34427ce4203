"""What is read out of the schedd's answers, and which of them are believed."""

from datetime import timedelta

import classad2
import htcondor2
import pytest

from annex_core.adapters.queue import ScheddQueue
from annex_core.errors import Unavailable
from annex_core.model.runtime import Runtime
from tests.unit.world import ALICE, NOW

HOUR = 3600


class Schedd:
    """Answers as HTCondor's bindings do: a row for each group of jobs, and one for the summary."""

    def __init__(self):
        self.rows = []
        self.summary = [classad2.ClassAd({"MyType": "Summary", "AllusersIdle": 0})]

    def query(self, constraint="true", projection=(), limit=-1, opts=htcondor2.QueryOpt.Default):
        return self.summary if opts == htcondor2.QueryOpt.SummaryOnly else self.rows


@pytest.fixture
def schedd(monkeypatch):
    made = Schedd()
    monkeypatch.setattr(htcondor2, "Schedd", lambda: made)
    return made


def row(idle=1, *, queued=timedelta(0), **attributes):
    """Idle jobs that were submitted so long ago."""
    return classad2.ClassAd(
        {
            "Owner": "alice",
            "TargetAnnexName": "blue",
            "AnnexProject": "physics",
            "JobStatus": 1,
            "JobCount": idle,
            "QDate": int((NOW - queued).timestamp()),
            **attributes,
        }
    )


@pytest.mark.parametrize(
    ("queued", "after", "counted"),
    [
        (timedelta(minutes=59), HOUR, False),
        (timedelta(minutes=61), HOUR, True),
        (timedelta(0), 0, True),
        (timedelta(0), None, True),
    ],
)
def test_a_job_counts_once_it_has_waited_its_time_at_home(schedd, queued, after, counted):
    schedd.rows = [row(queued=queued, **({} if after is None else {"AnnexAfter": after}))]
    assert bool(ScheddQueue().demand(NOW)) is counted


def test_jobs_that_differ_only_in_how_long_they_wait_are_one_group_of_those_that_count(schedd):
    schedd.rows = [
        row(5),
        row(20, AnnexAfter=HOUR),
        row(300, AnnexAfter=HOUR, queued=timedelta(hours=2)),
    ]
    (group,) = ScheddQueue().demand(NOW)
    assert (group.key, group.idle) == (ALICE, 305)


def test_how_many_jobs_there_are_is_no_part_of_the_ad_that_is_matched(schedd):
    """What was matched is kept by the ad: it must not be another one with each job that comes."""
    schedd.rows = [row(5, Id="1.0-4", JobIds="1.0-4", RequestCpus=2)]
    (before,) = ScheddQueue().demand(NOW)
    schedd.rows = [row(6, Id="1.0-5", JobIds="1.0-5", RequestCpus=2)]
    (after,) = ScheddQueue().demand(NOW)
    assert (before.idle, after.idle) == (5, 6)
    assert before.ad.printOld() == after.ad.printOld()
    assert after.ad["RequestCpus"] == 2


@pytest.mark.parametrize(
    "ask", [lambda: ScheddQueue().demand(NOW), lambda: ScheddQueue().counts()], ids=["demand", "counts"]
)
def test_an_empty_answer_counts_only_with_a_summary_of_the_queue(schedd, ask):
    assert not ask()
    schedd.summary = []
    with pytest.raises(Unavailable, match="no summary of its queue"):
        ask()


def _expect(_owner, executable, _batch):
    return Runtime(timedelta(seconds=100 if executable == "/bin/short" else 300), timedelta(0), 50)


def test_jobs_of_two_programs_that_want_the_same_are_one_group_with_the_run_time_of_both(schedd):
    schedd.rows = [row(30, Cmd="/bin/short", JobBatchName="a"), row(10, Cmd="/bin/long")]
    (group,) = ScheddQueue(_expect).demand(NOW)
    assert group.idle == 40
    assert group.expected.mean == timedelta(seconds=150)


def test_of_what_runs_the_longest_kind_is_told(schedd):
    schedd.rows = [row(2, JobStatus=2, Cmd=name) for name in ("/bin/short", "/bin/long", "/bin/short")]
    counts = ScheddQueue(_expect).counts()[ALICE]
    assert (counts.running, counts.running_for.mean) == (6, timedelta(seconds=300))
