"""AWS refuses, dawdles, has nothing or says nothing: users read it, jobs wait, and money isn't spent twice."""

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes


def test_a_refusal_is_told_to_the_user_and_tried_again_later(pool: Pool, annexes: Annexes) -> None:
    annexes.control.fail(action="RequestSpotFleet", error="InvalidSpotFleetRequestConfig")
    cluster = annexes.submit("refused")
    annexes.wait_said(cluster, "AWS refused the last request (RequestSpotFleet: InvalidSpotFleetRequestConfig")
    pool.wait_for_job(cluster)
    assert len(annexes.fleets("refused")) == 1


def test_a_throttled_request_is_sent_again_as_it_was(pool: Pool, annexes: Annexes) -> None:
    since = annexes.calls_so_far()
    annexes.control.fail(action="RequestSpotFleet", error="RequestLimitExceeded", status=503, times=2)
    cluster = annexes.submit("throttled")
    pool.wait_for_job(cluster)
    sent = annexes.calls("RequestSpotFleet", since)
    assert [call["error"] for call in sent] == ["RequestLimitExceeded"] * 2 + [None]
    assert len({call["token"] for call in sent}) == 1


def test_a_request_that_acted_and_timed_out_is_found_in_the_listing_and_not_sent_again(
    pool: Pool, annexes: Annexes
) -> None:
    since = annexes.calls_so_far()
    annexes.control.fail(action="RequestSpotFleet", then="lose")
    cluster = annexes.submit("timed-out")
    pool.wait_for_job(cluster)
    (fleet,) = annexes.fleets("timed-out")
    known = pool.wait_for(lambda: annexes.of("timed-out")["fleets"], "the fleet in the journal")
    assert [each["id"] for each in known] == [fleet["SpotFleetRequestId"]]
    assert len(annexes.calls("RequestSpotFleet", since)) == 1


class TestABundleThatCannotBeStored:
    WHY = "The last try failed: PutObject: ServiceUnavailable"

    def test_means_no_fleet_and_the_user_reads_why(self, annexes: Annexes) -> None:
        since = annexes.calls_so_far()
        annexes.control.fail(action="PutObject", error="ServiceUnavailable", status=503, times=None)
        cluster = annexes.submit("no-bundle")
        annexes.wait_said(cluster, self.WHY)
        assert not annexes.calls("CreateLaunchTemplate", since)
        assert not annexes.calls("RequestSpotFleet", since)

    def test_is_stored_when_the_bucket_answers_again(self, pool: Pool, annexes: Annexes) -> None:
        annexes.control.fail(action="PutObject", error="ServiceUnavailable", status=503, times=4)
        cluster = annexes.submit("bundle-later")
        pool.wait_for(lambda: self.WHY in str(annexes.of("bundle-later")), "the failure in the status")
        pool.wait_for_job(cluster)
        assert len(annexes.fleets("bundle-later")) == 1


def test_without_capacity_in_any_type_the_user_reads_so_and_the_one_request_is_filled_once_there_is_some(
    pool: Pool, annexes: Annexes
) -> None:
    annexes.control.fail(capacity=0)
    cluster = annexes.submit("no-capacity")
    annexes.wait_said(cluster, "AWS has not filled the request: ")
    assert not annexes.instances("no-capacity")
    annexes.control.heal()
    pool.wait_for_job(cluster)
    assert len(annexes.fleets("no-capacity")) == 1


def test_a_fleet_that_fills_one_of_four_loses_its_open_requests_and_the_jobs_run_on_later_ones(
    pool: Pool, annexes: Annexes
) -> None:
    annexes.route(
        "partly",
        'TargetAnnexName == "partly"',
        AnnexFulfilWithin="15s",
        AnnexGrowInterval="5s",
        AnnexInstanceTypes="c5.large",
        AnnexIdleTimeout="60s",
    )
    annexes.control.settings(fill_fraction=0.25)
    since = annexes.calls_so_far()
    cluster = annexes.submit("partly", jobs=8, seconds=1000)
    pool.wait_for(lambda: annexes.calls("CancelSpotInstanceRequests", since), "the end of the open requests")
    annexes.control.settings(fill_fraction=1)
    annexes.wait_running(cluster, 8)
    first = min(annexes.fleets("partly"), key=lambda fleet: fleet["CreateTime"])
    assert (len(annexes.alive("partly")), len(annexes.brought(first)), annexes.open_requests(first)) == (4, 1, 0)


def test_a_region_that_does_not_answer_loses_no_machine_and_gets_no_request_and_the_user_reads_it(
    annexes: Annexes,
) -> None:
    running = annexes.submit("silent", seconds=1000)
    annexes.wait_running(running)
    since = annexes.calls_so_far()
    annexes.control.fail(action="DescribeInstances", error="InternalError", status=500, times=None)
    waiting = annexes.submit("silent", jobs=10, seconds=1000)
    annexes.wait_said(
        waiting, f"AWS does not answer in us-east-2 at {annexes.control.url}: DescribeInstances: InternalError"
    )
    annexes.control.heal()
    assert not annexes.calls("RequestSpotFleet", since)
    annexes.wait_running(waiting, 10)
    assert not annexes.calls("TerminateInstances", since)
    annexes.wait_running(running)


def test_a_region_that_hangs_is_told_to_the_user_meanwhile_and_serves_the_job_once_it_answers(
    pool: Pool, annexes: Annexes
) -> None:
    annexes.control.fail(action="DescribeInstances", delay_s=60, times=None)
    cluster = annexes.submit("hung-region")
    annexes.wait_said(cluster, f"AWS does not answer in us-east-2 at {annexes.control.url}: no answer yet")
    annexes.control.heal()
    pool.wait_for_job(cluster)
