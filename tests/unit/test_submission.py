"""Jobs of a submit file as they would stand in the queue: checked as the schedd would, and asked about by annex."""

import classad2
import pytest

from annex_core.adapters.job_rows import supposed
from annex_core.adapters.submission import questions
from annex_core.errors import BadRequest, Refused
from tests.unit.test_dry_run import put

CONFIGURATION = {
    "JOB_TRANSFORM_NAMES": "AnnexCommands, AnnexSteer",
    "JOB_TRANSFORM_AnnexCommands": "EVALSET TargetAnnexName annex_name",
    "JOB_ROUTER_ROUTE_NAMES": "plain spot gpu",
    "ANNEX_ROUTE_NAMES": "gpu spot",
    "JOB_ROUTER_ROUTE_spot": "REQUIREMENTS true",
    "JOB_ROUTER_ROUTE_gpu": "REQUIREMENTS RequestGPUs > 0",
    "SUBMIT_REQUIREMENT_NAMES": "AnnexIdle Hint",
    "SUBMIT_REQUIREMENT_AnnexIdle": "AnnexIdleTimeout =?= undefined || AnnexIdleTimeout >= 60",
    "SUBMIT_REQUIREMENT_AnnexIdle_REASON": 'strcat("annex_idle must be from 1m, not ", string(AnnexIdleTimeout), ".")',
    "SUBMIT_REQUIREMENT_Hint": "false",
    "SUBMIT_REQUIREMENT_Hint_IS_WARNING": "true",
}
JOB = {
    "ClusterId": "1",
    "ProcId": "0",
    "TargetAnnexName": '"blue"',
    "AnnexProject": '"physics"',
    "AnnexRoute": '"spot"',
    "RequestCpus": "2",
    "Requirements": "MY.Wanted && TARGET.Arch == MY.Kind",
    "Wanted": "Deeper > 1",
    "Deeper": "2",
    "Kind": '"X86_64"',
    "Environment": '"SECRET=1"',
}


@pytest.fixture
def htcondor(tmp_path, monkeypatch):
    """Programs that give a job of these attributes, as the transforms leave it; and what they were called with."""

    def made(*jobs):
        text = "\n\n".join("\n".join(f"{name} = {value}" for name, value in job.items()) for job in jobs or [JOB])
        called = tmp_path / "called"
        put(
            tmp_path,
            condor_submit=[f"open(sys.argv[2], 'w').write({text!r})"],
            condor_transform_ads=[
                f"open({str(called)!r}, 'w').write(chr(10).join(sys.argv))",
                "print(sys.stdin.read())",
            ],
        )
        monkeypatch.setenv("PATH", str(tmp_path))
        return called

    return made


def asked(route=None, **other):
    return questions(["job.sub"], route, {**CONFIGURATION, **other})


def test_the_transforms_and_the_annex_routes_are_htcondor_s_own_in_its_order(htcondor):
    called = htcondor()
    asked()
    words = called.read_text().split("\n")[1:]
    assert words == [
        "-jobtransforms",
        "AnnexCommands AnnexSteer",
        "-jobroute",
        "spot",
        "-jobroute",
        "gpu",
        "-in:long",
        "-",
    ]


def test_the_daemon_is_told_what_annexes_are_planned_by_and_nothing_else(htcondor):
    htcondor()
    (question,) = asked()
    assert (question["name"], question["route"], "insist" in question) == ("blue", "spot", False)
    (group,) = question["groups"]
    told = {line.partition(" = ")[0] for line in group["ad"].splitlines()}
    assert {"Requirements", "Wanted", "Deeper", "Kind", "RequestCpus", "AnnexProject", "Owner"} <= told
    assert "Environment" not in told
    assert supposed(group["ad"], "alice", 3, None).cpus == 2


def test_jobs_of_several_annexes_are_asked_about_one_by_one(htcondor):
    htcondor(JOB, {**JOB, "ClusterId": "2", "TargetAnnexName": '"green"'})
    assert [each["name"] for each in asked()] == ["blue", "green"]


def test_a_route_that_is_named_is_the_only_one_that_will_do(htcondor):
    called = htcondor()
    (question,) = asked("spot")
    assert question["insist"] is True
    assert "gpu" not in called.read_text()


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ({**JOB, "AnnexIdleTimeout": "5"}, r"would refuse it: annex_idle must be from 1m, not 5\."),
        ({name: value for name, value in JOB.items() if name != "TargetAnnexName"}, "the jobs name no annex"),
        (
            {name: value for name, value in JOB.items() if name != "AnnexRoute"},
            "REQUIREMENTS of spot, gpu are not true",
        ),
    ],
)
def test_what_the_schedd_or_the_router_would_not_take_is_told_why(htcondor, job, why):
    htcondor(job)
    with pytest.raises(Refused, match=why):
        asked()


def test_routes_that_are_none_of_ours_can_t_be_asked_for(htcondor):
    htcondor()
    with pytest.raises(BadRequest, match="no annex route plain; there are: spot, gpu"):
        asked("plain")
    with pytest.raises(Refused, match="has no annex route"):
        asked(ANNEX_ROUTE_NAMES="")
    with pytest.raises(Refused, match="no transforms for annexes"):
        asked(JOB_TRANSFORM_NAMES="")


def test_so_many_at_a_time_are_divided_among_the_kinds(htcondor):
    late = {"JobMaterializeMaxIdle": "4"}
    htcondor({**JOB, **late}, *[{"ProcId": "1", "RequestCpus": "1"}] * 3)
    (question,) = asked()
    assert [(each["jobs"], each.get("at_a_time")) for each in question["groups"]] == [(1, None), (3, None)]
    htcondor({**JOB, "JobMaterializeMaxIdle": "2"}, *[{"ProcId": "1", "RequestCpus": "1"}] * 3)
    (question,) = asked()
    assert [(each["jobs"], each["at_a_time"]) for each in question["groups"]] == [(1, 1), (3, 1)]


def test_an_ad_that_is_told_is_read_as_it_was_meant(htcondor):
    htcondor()
    (question,) = asked()
    group = supposed(question["groups"][0]["ad"], "alice", 1, None)
    assert classad2.ExprTree("Wanted").eval(group.ad) is True
