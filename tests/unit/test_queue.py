"""What is read out of the schedd's answers, and which of them are believed."""

from datetime import timedelta

import classad2
import htcondor2
import pytest

from annex_core.adapters.job import described
from annex_core.adapters.queue import ScheddQueue
from annex_core.errors import Unavailable
from annex_core.model.runtime import Runtime
from annex_core.planner.conjuncts import conjuncts
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, NOW, snapshot

HOUR = 3600


class Schedd:
    """Answers as HTCondor's bindings do: a row for each group of jobs, factories' own ads, an ad as the summary."""

    def __init__(self):
        self.rows = []
        self.factories = []
        self.summary = None
        self.asked = []
        self.leaves_out = 0
        """Of so many answers, half the rows, or another share."""
        self.share = 2

    def query(self, constraint="true", projection=(), limit=-1, opts=htcondor2.QueryOpt.Default):
        self.asked.append(constraint)
        if opts == htcondor2.QueryOpt.IncludeClusterAd:
            return self.factories
        wanted = classad2.ExprTree(constraint)
        found = [each for each in self.rows if wanted.eval(each) is True]
        if opts == htcondor2.QueryOpt.SummaryOnly:
            jobs = sum(each["JobCount"] for each in found)
            return [classad2.ClassAd({"MyType": "Summary", "Jobs": jobs})] if self.summary is None else self.summary
        if found and self.leaves_out:
            self.leaves_out -= 1
            found = found[len(found) // self.share :]
        return [classad2.ClassAd(str(each)) for each in found]


@pytest.fixture
def schedd(monkeypatch):
    made = Schedd()
    monkeypatch.setattr(htcondor2, "Schedd", lambda: made)
    return made


def row(idle=1, *, waits=timedelta(0), **attributes):
    """Idle jobs that have been idle for so long."""
    return classad2.ClassAd(
        {
            "Owner": "alice",
            "TargetAnnexName": "blue",
            "AnnexProject": "physics",
            "JobStatus": 1,
            "JobUniverse": 5,
            "JobCount": idle,
            "QDate": int((NOW - timedelta(days=1)).timestamp()),
            "EnteredCurrentStatus": int((NOW - waits).timestamp()),
            **attributes,
        }
    )


@pytest.mark.parametrize(
    ("waits", "after", "counted"),
    [
        (timedelta(minutes=59), HOUR, False),
        (timedelta(minutes=61), HOUR, True),
        (timedelta(0), 0, True),
        (timedelta(0), None, True),
    ],
)
def test_a_job_counts_once_it_has_waited_its_time_at_home(schedd, waits, after, counted):
    schedd.rows = [row(waits=waits, **({} if after is None else {"AnnexAfter": after}))]
    assert bool(ScheddQueue().demand(NOW)) is counted


def test_a_job_that_waits_at_home_again_is_told_from_when_on_the_cloud_counts_it():
    """As it is counted: since it became idle, and not since it was submitted."""
    told = described("12.3", row(waits=timedelta(minutes=59), AnnexAfter=3600), NOW)
    due = (NOW + timedelta(minutes=1)).astimezone()
    assert told.state == f"idle; by its annex_after the cloud counts it from {due:%Y-%m-%d %H:%M:%S} on"
    assert described("12.3", row(waits=timedelta(minutes=61), AnnexAfter=3600, AnnexRoute="spot"), NOW).state == "idle"


def test_jobs_that_differ_only_in_how_long_they_wait_are_one_group_of_those_that_count(schedd):
    schedd.rows = [
        row(5),
        row(20, AnnexAfter=HOUR),
        row(300, AnnexAfter=HOUR, waits=timedelta(hours=2)),
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


def test_jobs_that_wait_again_at_home_have_their_whole_wait_before_them(schedd):
    """A job that ran at home, and was sent away there, has been idle since then only."""
    schedd.rows = [row(waits=timedelta(minutes=1), AnnexAfter=HOUR)]
    assert not ScheddQueue().demand(NOW)


def test_a_clock_that_has_gone_back_keeps_a_job_waiting_no_longer_than_its_wait(schedd):
    queue = ScheddQueue()
    schedd.rows = [row(waits=-timedelta(days=300), AnnexAfter=HOUR)]
    assert not queue.demand(NOW)
    assert not queue.demand(NOW + timedelta(minutes=59))
    assert queue.demand(NOW + timedelta(minutes=61))


def test_jobs_that_wait_at_home_are_looked_for_only_where_the_queue_has_some(schedd):
    queue = ScheddQueue()
    schedd.rows = [row(2)]
    queue.counts()
    before = len(schedd.asked)
    assert queue.demand(NOW)
    assert not [each for each in schedd.asked[before:] if "AnnexAfter =!= undefined" in each]
    schedd.rows = [row(3, AnnexAfter=0)]
    queue.counts()
    assert queue.demand(NOW)


def test_a_source_is_counted_in_its_copy_and_a_copy_in_a_grid_is_not(schedd):
    schedd.rows = [
        row(3, Managed="External"),
        row(5, RoutedFromJobId="1.0"),
        row(7, JobUniverse=9, RoutedFromJobId="2.0"),
    ]
    (group,) = ScheddQueue().demand(NOW)
    assert group.idle == 5
    assert ScheddQueue().counts()[ALICE].idle == 5


def test_a_job_that_must_not_go_to_a_cloud_is_not_counted_though_it_was_steered(schedd):
    schedd.rows = [row(AnnexNever=True)]
    assert not ScheddQueue().demand(NOW)
    assert not ScheddQueue().counts()


@pytest.mark.parametrize(
    "ask", [lambda queue: queue.demand(NOW), lambda queue: queue.counts()], ids=["demand", "counts"]
)
def test_an_answer_of_half_the_jobs_is_asked_for_again_and_not_believed_twice(schedd, ask):
    schedd.rows = [row(10, RequestCpus=number) for number in range(1, 11)]
    schedd.leaves_out = 1
    assert ask(ScheddQueue())
    schedd.leaves_out = 2
    with pytest.raises(Unavailable, match="told of 50 jobs where it counts 100"):
        ask(ScheddQueue())


@pytest.mark.parametrize(("of", "share", "believed"), [(100, 5, False), (100, 11, True), (1, 5, True), (1, 2, False)])
def test_what_came_between_two_questions_may_be_missing_and_no_more(schedd, of, share, believed):
    schedd.rows = [row(of, RequestCpus=number) for number in range(1, 11)]
    schedd.leaves_out, schedd.share = 2, share
    if believed:
        assert ScheddQueue().demand(NOW)
    else:
        with pytest.raises(Unavailable, match="where it counts"):
            ScheddQueue().demand(NOW)


def expression(text):
    return classad2.ExprTree(text)


def test_requests_are_evaluated_as_expressions_of_the_job(schedd):
    schedd.rows = [
        row(
            RequestCpus=expression("max({2, Wanted})"),
            Wanted=3,
            RequestMemory=expression("ifThenElse(MemoryUsage =!= undefined, MemoryUsage, (ImageSize + 1023) / 1024)"),
            ImageSize=5000,
            RequestDisk=expression("DiskUsage * 1.5"),
            DiskUsage=3,
        )
    ]
    (group,) = ScheddQueue().demand(NOW)
    assert (group.cpus, group.memory_mib, group.disk_kib) == (3, 5, 5)


def test_jobs_that_come_to_the_same_requests_by_other_ways_are_one_group(schedd):
    memory = expression("100 + 0 * ProcId")
    schedd.rows = [row(2, RequestMemory=memory, ProcId=number) for number in range(500)]
    (group,) = ScheddQueue().demand(NOW)
    assert (group.idle, group.memory_mib) == (1000, 100)


def test_what_requirements_look_at_keeps_groups_apart(schedd):
    steered = expression("TARGET.AnnexName =?= MY.TargetAnnexName && MY.AnnexJobRequirements")
    own = expression("TARGET.Memory >= RequestMemory && TARGET.Zone == WantedZone")
    schedd.rows = [
        row(Requirements=steered, AnnexJobRequirements=own, RequestMemory=100, WantedZone=zone) for zone in "ab"
    ]
    first, second = ScheddQueue().demand(NOW)
    assert {first.ad["WantedZone"], second.ad["WantedZone"]} == {"a", "b"}


def test_the_conditions_of_a_steered_job_can_be_told_apart(schedd):
    steered = expression("TARGET.AnnexName =?= MY.TargetAnnexName && MY.AnnexJobRequirements")
    own = expression('(TARGET.Arch == "X86_64") && (TARGET.Memory >= 64 || TARGET.HasBigMemory)')
    schedd.rows = [row(Requirements=steered, AnnexJobRequirements=own)]
    (group,) = ScheddQueue().demand(NOW)
    parts = conjuncts(str(group.ad.lookup("Requirements")))
    assert parts[1:] == ('TARGET.Arch == "X86_64"', "TARGET.Memory >= 64 || TARGET.HasBigMemory")


def test_what_no_machine_meets_of_a_steered_job_is_told_in_its_users_words(schedd):
    """With the closest type, and what it lacks."""
    same = 'TARGET.AuthenticatedIdentity =?= strcat("annex-", MY.Owner, ".", MY.TargetAnnexName, "@pool.example")'
    steered = expression(f"TARGET.AnnexName =?= MY.TargetAnnexName && {same} && MY.AnnexJobRequirements")
    own = expression('(TARGET.OpSys == "LINUX") && (TARGET.Arch == "aarch64") && (TARGET.Memory >= RequestMemory)')
    schedd.rows = [
        row(Requirements=steered, AnnexJobRequirements=own, RequestMemory=100, RequestDisk=100, AnnexRoute="spot")
    ]
    said = plan(snapshot(ScheddQueue().demand(NOW))).outlooks[ALICE].sentence
    assert "the closest type, c5.large, doesn't meet its Requirements: TARGET.Arch == 'aarch64'" in said


def test_ten_thousand_shapes_are_ten_thousand_groups_and_none_is_lost(schedd):
    schedd.rows = [row(number % 7 + 1, RequestCpus=number % 100, RequestMemory=number) for number in range(10_000)]
    groups = ScheddQueue().demand(NOW)
    assert len(groups) == 10_000
    assert sum(group.idle for group in groups) == sum(number % 7 + 1 for number in range(10_000))


def factory(**attributes):
    """Of a cluster of 1,000 jobs, of which 10 have been made and 4 are idle."""
    return classad2.ClassAd(
        {
            "ClusterId": 7,
            "JobFactoryId": 7,
            "AnnexProject": "physics",
            "JobsIdle": 4,
            "JobsPresent": 10,
            "TotalSubmitProcs": 1000,
            "JobMaterializeNextProcId": 10,
            "JobFactoryPaused": 0,
            **attributes,
        }
    )


@pytest.mark.parametrize(
    ("attributes", "idle"),
    [
        ({"JobMaterializeMaxIdle": 50}, 50),
        ({"JobMaterializeMaxIdle": 50, "JobMaterializeLimit": 30}, 24),
        ({"JobMaterializeMaxIdle": 50, "JobMaterializeNextProcId": 998}, 6),
        ({"JobMaterializeMaxIdle": 3}, 4),
        ({"JobMaterializeMaxIdle": 50, "JobFactoryPaused": 1}, 4),
        ({"JobMaterializeMaxIdle": 50, "JobMaterializeNextProcId": "?"}, 4),
    ],
    ids=["max_idle", "max_materialize", "nearly all made", "enough idle", "paused", "unreadable"],
)
def test_jobs_that_are_not_made_yet_count_as_far_as_the_schedd_makes_them_now(schedd, attributes, idle):
    schedd.rows = [row(3, ClusterId=7, RequestMemory=100), row(1, ClusterId=7, RequestMemory=200)]
    schedd.factories = [factory(**attributes)]
    groups = {group.memory_mib: group.idle for group in ScheddQueue().demand(NOW)}
    assert sum(groups.values()) == idle
    assert groups[200] == 1


def test_a_job_that_runs_at_home_uses_no_machine_of_the_annex(schedd):
    schedd.rows = [
        row(2, JobStatus=2, AnnexAfter=HOUR, MachineAttrAnnexName0=expression("undefined")),
        row(3, JobStatus=2, AnnexAfter=HOUR, MachineAttrAnnexName0="blue"),
        row(4, JobStatus=2),
    ]
    counts = ScheddQueue().counts()[ALICE]
    assert (counts.running, counts.at_home) == (7, 2)


def test_jobs_that_differ_in_their_rank_alone_are_groups_of_their_own(schedd):
    """Else machines would be chosen by what some of them prefer."""
    schedd.rows = [row(5, Rank=classad2.ExprTree("Memory")), row(6, Rank=classad2.ExprTree("-Memory")), row(7)]
    assert sorted(group.idle for group in ScheddQueue().demand(NOW)) == [5, 6, 7]
