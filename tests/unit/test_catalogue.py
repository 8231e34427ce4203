"""The bundled snapshot of instance types and prices."""

from decimal import Decimal

from annex_core.adapters.catalogue import Catalogue
from annex_core.model.hardware import InstanceType


def test_a_type_is_known_with_its_size_and_its_price_in_the_region() -> None:
    found = Catalogue().types("us-east-2", ["m5.large"])

    assert found == {"m5.large": InstanceType("m5.large", 2, 8192, "x86_64", 0, Decimal("0.096"))}


def test_gpus_are_counted() -> None:
    assert Catalogue().types("us-east-1", ["g5.12xlarge"])["g5.12xlarge"].gpus == 4


def test_a_type_that_does_not_exist_is_absent() -> None:
    assert Catalogue().types("us-east-2", ["m5.lager", "m5.large"]).keys() == {"m5.large"}


def test_a_price_that_the_list_gives_as_zero_is_unknown() -> None:
    assert Catalogue().types("us-east-2", ["g5.xlarge"])["g5.xlarge"].on_demand is None


def test_prices_of_a_region_that_the_list_lacks_are_unknown() -> None:
    assert Catalogue().types("xx-nowhere-1", ["m5.large"])["m5.large"].on_demand is None


def test_no_price_is_zero() -> None:
    catalogue = Catalogue()

    for region in catalogue.regions:
        assert all(t.on_demand is None or t.on_demand > 0 for t in catalogue.types(region, catalogue.names).values())


def test_it_says_how_old_it_is() -> None:
    dates = Catalogue().dates

    assert dates.prices < dates.types
