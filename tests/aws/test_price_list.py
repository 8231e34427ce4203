"""On-demand prices, as AWS's price list tells them; what can't be believed is unknown."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from types_boto3_pricing import PricingClient

from annex_core.account.policies import policy
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.price_list import PriceList, price_list
from annex_core.errors import NotPermitted, Throttled
from rehearsal.cloud.cloud import LocalCloud
from tests.iam import allowed

REGION = "us-east-2"
MEANT = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
    "regionCode": REGION,
    "instanceType": "c5.large",
}


def asked(**more: str) -> dict[str, Any]:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in MEANT.items()]
    return {"ServiceCode": "AmazonEC2", "Filters": filters, "MaxResults": 10, **more}


def priced(**per_unit: Any) -> dict[str, Any]:
    return {"priceDimensions": {"s.t.d": {"unit": "Hrs", "pricePerUnit": per_unit}}}


def product(usd: Any = "0.0850000000", **more: Any) -> dict[str, Any]:
    attributes = {**MEANT, "vcpu": "2", **more.pop("attributes", {})}
    terms = more.pop("terms", {"OnDemand": {"s.t": priced(USD=usd)}, "Reserved": {}})
    return {"product": {"sku": "s", "attributes": attributes}, "terms": terms, **more}


@pytest.fixture
def client() -> PricingClient:
    return boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush"
    )


@pytest.fixture
def stub(client: PricingClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def told(client: PricingClient, stub: Stubber) -> Callable[..., dict[str, Decimal]]:
    """told(PRODUCT, ...) -> what is known of c5.large, where AWS answers with these products."""

    def tell(*products: Any) -> dict[str, Decimal]:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in products]
        stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": texts}, asked())
        return dict(PriceList(client, REGION).on_demand(["c5.large"]))

    return tell


def test_the_one_product_that_is_meant_has_the_price(told: Callable[..., Any]) -> None:
    assert told(product()) == {"c5.large": Decimal("0.085")}


def test_a_whole_price_is_written_without_an_exponent(told: Callable[..., Any]) -> None:
    assert str(told(product("20.0000000000"))["c5.large"]) == "20"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(product("0.0000000000"), id="zero"),
        pytest.param(product("-0.085"), id="below zero"),
        pytest.param(product("NaN"), id="not a number"),
        pytest.param(product("sNaN"), id="a signalling one"),
        pytest.param(product("Infinity"), id="infinite"),
        pytest.param(product("1e999999"), id="of a million digits"),
        pytest.param(product("1e-999999"), id="almost nothing"),
        pytest.param(product("1001"), id="more than any machine costs"),
        pytest.param(product("free"), id="a word"),
        pytest.param(product(0.085), id="no text"),
        pytest.param(product(["0.085"]), id="a list"),
        pytest.param(product(None), id="null"),
        pytest.param(product(terms={"OnDemand": {"s.t": priced(CNY="0.5")}}), id="in another currency"),
        pytest.param(product(terms={"OnDemand": {"a": priced(USD="1"), "b": priced(USD="2")}}), id="two terms"),
        pytest.param(product(terms={"OnDemand": {}}), id="no term"),
        pytest.param(product(terms={"Reserved": {"s.t": priced(USD="0.05")}}), id="reserved alone"),
        pytest.param(product(terms=[]), id="terms that are a list"),
        pytest.param(
            product(
                terms={"OnDemand": {"s.t": {"priceDimensions": {"d": {"unit": "Day", "pricePerUnit": {"USD": "2"}}}}}}
            ),
            id="by the day",
        ),
        pytest.param(product(attributes={"regionCode": "us-east-1"}), id="another region's"),
        pytest.param(product(attributes={"instanceType": "c5.24xlarge"}), id="another type's"),
        pytest.param(product(attributes={"tenancy": "Dedicated"}), id="of dedicated tenancy"),
        pytest.param({"product": {"attributes": []}}, id="attributes that are a list"),
        pytest.param({"product": None}, id="no product"),
        pytest.param("[]", id="a list for a product"),
        pytest.param("7", id="a number for a product"),
        pytest.param("{", id="half an answer"),
        pytest.param("", id="empty"),
        pytest.param("[" * 100_000, id="too deep to read"),
    ],
)
def test_what_is_no_price_of_that_machine_is_not_believed(told: Callable[..., Any], odd: Any) -> None:
    assert told(odd) == {}


def test_more_than_one_answer_is_not_believed_even_if_they_agree(told: Callable[..., Any]) -> None:
    assert told(product(), product()) == {}


def test_what_is_meant_is_found_among_what_is_not(told: Callable[..., Any]) -> None:
    assert told("{", product("9", attributes={"operatingSystem": "Windows"}), product()) == {
        "c5.large": Decimal("0.085")
    }


def test_no_answer_is_no_price(told: Callable[..., Any], client: PricingClient, stub: Stubber) -> None:
    assert told() == {}
    stub.add_response("get_products", {}, asked())
    assert PriceList(client, REGION).on_demand(["c5.large"]) == {}


def test_all_pages_are_read(client: PricingClient, stub: Stubber) -> None:
    stub.add_response("get_products", {"PriceList": [], "NextToken": "two"}, asked())
    stub.add_response("get_products", {"PriceList": [json.dumps(product())]}, asked(NextToken="two"))
    assert PriceList(client, REGION).on_demand(["c5.large"]) == {"c5.large": Decimal("0.085")}


def test_a_list_without_an_end_is_given_up(client: PricingClient, stub: Stubber) -> None:
    token: dict[str, str] = {}
    for page in range(10):
        stub.add_response("get_products", {"PriceList": [], "NextToken": f"{page}"}, asked(**token))
        token = {"NextToken": f"{page}"}
    assert PriceList(client, REGION).on_demand(["c5.large"]) == {}


def test_of_a_thousand_answers_no_more_than_the_first_page_is_asked_for(client: PricingClient, stub: Stubber) -> None:
    stub.add_response("get_products", {"PriceList": [json.dumps(product())] * 1000, "NextToken": "two"}, asked())
    assert PriceList(client, REGION).on_demand(["c5.large"]) == {}


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDeniedException", NotPermitted), ("ThrottlingException", Throttled)]
)
def test_a_refusal_is_an_error_and_no_empty_list(
    client: PricingClient, stub: Stubber, code: str, kind: type[Exception]
) -> None:
    stub.add_client_error("get_products", code, "no", 400)
    with pytest.raises(kind, match=f"^GetProducts: {code}: no"):
        PriceList(client, REGION).on_demand(["c5.large"])


# Who is asked.


@pytest.mark.parametrize("region", ["us-east-2", "eu-central-2", "ap-southeast-4"])
def test_one_region_answers_for_all(region: str) -> None:
    client = AwsRegion(region).pricing()
    assert client
    assert client.meta.endpoint_url == "https://api.pricing.us-east-1.amazonaws.com"


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "nowhere"])
def test_where_the_list_is_not_in_dollars_or_not_for_its_accounts_nobody_is_asked(region: str) -> None:
    assert price_list(AwsRegion(region)) is None


@pytest.mark.parametrize("region", ["us-east-2", "cn-north-1", "nowhere"])
def test_another_endpoint_is_asked_in_place_of_aws(region: str) -> None:
    client = AwsRegion(region, endpoint="http://172.31.240.1:4566").pricing()
    assert client
    assert client.meta.endpoint_url == "http://172.31.240.1:4566"


@pytest.mark.parametrize("project", [None, "physics"])
def test_the_daily_policy_allows_it(project: str | None) -> None:
    granted = policy("daily", partition="aws", account="123456789012", pool="ap.example.org", project=project)
    assert allowed(granted, "pricing:GetProducts", "*", {})


# By the local cloud.


@pytest.fixture
def local(local_cloud: LocalCloud, tmp_path: Path) -> PriceList:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    found = price_list(AwsRegion(REGION, endpoint=local_cloud.url, credentials_file=str(file)))
    assert found
    return found


def test_the_local_cloud_tells_its_own_prices(local: PriceList, local_cloud: LocalCloud) -> None:
    found = local.on_demand(["c5.large", "m5.xlarge", "z9.imaginary"])
    assert found == {"c5.large": Decimal("0.078"), "m5.xlarge": Decimal("0.188")}
    assert {(call["service"], call["action"]) for call in local_cloud.calls.since(0)} == {("pricing", "GetProducts")}


def test_the_local_cloud_lists_by_pages_as_aws_does(local_cloud: LocalCloud, session: boto3.Session) -> None:
    client = session.client("pricing", region_name="us-east-1", endpoint_url=local_cloud.url)
    filters: Any = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": REGION}]
    pages = list(client.get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters))
    found = [json.loads(each)["product"]["attributes"]["instanceType"] for page in pages for each in page["PriceList"]]
    assert len(pages) > 1
    assert found.count("c5.large") == 2, "what is reserved and not used is listed, too"


def test_a_fault_of_the_local_cloud_is_told_as_aws_would(local: PriceList, control: Callable[..., Any]) -> None:
    control("POST", "/faults", {"action": "GetProducts", "error": "AccessDeniedException", "status": 400})
    with pytest.raises(NotPermitted, match="GetProducts: AccessDeniedException"):
        local.on_demand(["c5.large"])


def test_the_local_cloud_refuses_what_it_does_not_list(local_cloud: LocalCloud, session: boto3.Session) -> None:
    client = session.client("pricing", region_name="us-east-1", endpoint_url=local_cloud.url)
    with pytest.raises(client.exceptions.NotFoundException):
        client.get_products(ServiceCode="AmazonS3")
    with pytest.raises(client.exceptions.ClientError, match="UnknownOperationException"):
        client.describe_services()
