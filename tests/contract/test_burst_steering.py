"""Where a job that named no annex may run once it has joined its project's, by the text of config.d."""

import classad2
import pytest

from tests import shipped

SNIPPETS = "50-annex-submit.config", "52-annex-router.config"
STEER = shipped.transform("JOB_TRANSFORM_AnnexSteer", *SNIPPETS)
JOIN = shipped.transform("JOB_ROUTER_TRANSFORM_AnnexBurst", *SNIPPETS)
(BURST,) = shipped.said(JOIN, "SET Requirements")


def job(**attributes: object) -> classad2.ClassAd:
    ad = classad2.ClassAd({"MyType": "Job", "Owner": "alice", "TargetAnnexName": "physics", **attributes})
    ad["AnnexJobRequirements"] = classad2.ExprTree("TARGET.Memory >= 100")
    ad["Requirements"] = classad2.ExprTree(BURST)
    return ad


def slot(**attributes: object) -> classad2.ClassAd:
    return classad2.ClassAd({"MyType": "Machine", "Memory": 200, "Requirements": True, **attributes})


@pytest.mark.parametrize(
    ("of", "runs"),
    [
        (slot(), True),
        (slot(AuthenticatedIdentity="condor@pool.example"), True),
        (slot(Memory=50), False),
        (slot(AnnexName="physics", AuthenticatedIdentity="annex-alice.physics@pool.example"), True),
        (slot(AnnexName="physics", AuthenticatedIdentity="annex-alice.physics@pool.example", Memory=50), False),
        (slot(AnnexName="physics", AuthenticatedIdentity="annex-bob.physics@pool.example"), False),
        (slot(AnnexName="physics"), False),
        (slot(AnnexName="blue", AuthenticatedIdentity="annex-alice.blue@pool.example"), False),
    ],
    ids=["home", "home, known", "home, small", "its annex", "its annex, small", "bob's", "no identity", "another"],
)
def test_it_runs_at_home_or_on_its_own_annex_and_nowhere_else(of: classad2.ClassAd, runs: bool) -> None:
    assert job().symmetricMatch(of) is runs


def test_it_is_steered_as_a_job_that_names_its_annex_and_may_run_at_home() -> None:
    assert shipped.said(STEER, "SET Requirements")[0] == BURST


@pytest.mark.parametrize("attribute", ["SET JobMachineAttrs", "EVALSET JobMachineAttrs"])
def test_it_keeps_what_a_job_that_names_its_annex_keeps_of_its_slot(attribute: str) -> None:
    (kept,) = shipped.said(JOIN, attribute)
    assert "AnnexHourlyPrice" in kept
    assert [kept] == shipped.said(STEER, attribute)


@pytest.mark.parametrize("transform", ["AnnexAfter", "AnnexBurst"])
def test_a_job_that_must_not_go_to_a_cloud_is_touched_by_no_transform(transform: str) -> None:
    (said,) = shipped.said(shipped.transform(f"JOB_ROUTER_TRANSFORM_{transform}", *SNIPPETS), "REQUIREMENTS")
    wanted = classad2.ExprTree(said)
    waiting = job(AnnexRoute="burst", JobUniverse=5, AnnexAfter=60, EnteredCurrentStatus=1000)
    del waiting["TargetAnnexName"]
    assert wanted.eval(waiting) is True
    waiting["AnnexNever"] = True
    assert wanted.eval(waiting) is False
