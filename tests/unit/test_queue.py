"""What is read out of the schedd's answers, and which of them are believed."""

from datetime import timedelta

import classad2
import htcondor2
import pytest

from annex_core.adapters.queue import ScheddQueue
from annex_core.errors import Unavailable
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


@pytest.mark.parametrize(
    "ask", [lambda: ScheddQueue().demand(NOW), lambda: ScheddQueue().counts()], ids=["demand", "counts"]
)
def test_an_empty_answer_counts_only_with_a_summary_of_the_queue(schedd, ask):
    assert not ask()
    schedd.summary = []
    with pytest.raises(Unavailable, match="no summary of its queue"):
        ask()
