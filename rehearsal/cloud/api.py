"""EC2's actions where moto's answer isn't AWS's; all others are moto's own."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from rehearsal.cloud import instant, prices, views
from rehearsal.cloud.clock import epoch
from rehearsal.cloud.ec2 import LocalEC2Backend
from rehearsal.cloud.spot_fleet import SpotFleet, SpotRequest

Row = TypeVar("Row")

_FLEET_ID = re.compile(r"sfr-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_CANCELLED = 100
_CONSOLE_KEPT = 65_536
"""Bytes, as EC2 keeps."""


class LocalEC2Response(EC2Response):
    """One request; moto makes one of these for each and calls the method named after the action."""

    @property
    def _ec2(self) -> LocalEC2Backend:
        backend = self.ec2_backend
        assert isinstance(backend, LocalEC2Backend), "the cloud made a backend for the region before"  # noqa: S101
        return backend

    def _once(self, token: str | None, act: Callable[[], ActionResult], *, within: str = "") -> ActionResult:
        """
        Act, or give the answer that the same request got before.

        Args:
            within: Where the token counts, if not in the whole region.
        """
        if not token:
            return act()
        key = (str(self._get_action()), f"{token} {within}")
        request = json.dumps({name: self.params[name] for name in self.params if name != "DryRun"}, default=str)
        if key in self._ec2.answers:
            first, answer = self._ec2.answers[key]
            if first != request:
                raise EC2ClientError(
                    "IdempotentParameterMismatch",
                    "The request uses the same client token as a previous, but non-identical request.",
                )
            return answer  # type: ignore[no-any-return]
        answer = act()
        self._ec2.answers[key] = (request, answer)
        return answer

    def _page(self, rows: Iterable[tuple[int, Row]]) -> tuple[list[Row], str | None]:
        """
        The page that MaxResults and NextToken ask for.

        Args:
            rows: In rising order of the number beside each, which stays its own for ever; tokens hang on it.
        """
        size = self._get_param("MaxResults") or self._ec2.world.settings.page_size
        token = self._get_param("NextToken") or "-1"
        if not re.fullmatch(r"-?\d+", token):
            raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid.")
        left = [(number, row) for number, row in rows if number > int(token)]
        page = left[: int(size)]
        return [row for _, row in page], str(page[-1][0]) if len(left) > len(page) else None

    def get_ebs_default_kms_key_id(self) -> ActionResult:
        """What volumes are encrypted with that say nothing else: AWS's key, until the account names one of its own."""
        return ActionResult({"KmsKeyId": getattr(self._ec2, "default_kms_key_id", None) or "alias/aws/ebs"})

    # Instances

    def run_instances(self) -> ActionResult:
        """A client token counts in its zone: in another one it is another launch."""
        return self._once(self._get_param("ClientToken"), self._launch, within=self._zone())

    def _zone(self) -> str:
        if subnet := self._get_param("SubnetId"):
            return str(self._ec2.get_subnet(subnet).availability_zone)
        return self._get_param("Placement.AvailabilityZone") or f"{self.region}a"

    def _launch(self) -> ActionResult:
        count = int(self._get_param("MaxCount") or 1)
        template = self._get_param("LaunchTemplate")
        kind = self._get_param("InstanceType")
        if not kind and template:
            kind = self._ec2._get_template_from_args(template).instance_type  # noqa: SLF001 - moto has no other
        zone = self._zone()
        self._check_market(kind or "m1.small", zone)
        market = "spot" if self._get_param("InstanceMarketOptions.MarketType") == "spot" else "on-demand"
        room = self._ec2.world.faults.room(kind or "m1.small", zone, market)
        if room is not None:
            count = min(count, room - self._ec2.lives.crowd()[(kind or "m1.small", zone)])
        if count < int(self._get_param("MinCount") or 1):
            raise EC2ClientError(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}).",
            )
        self.params["MinCount"] = count  # moto launches as many as that
        return super().run_instances()

    def _check_market(self, kind: str, zone: str) -> None:
        if self._get_param("InstanceMarketOptions.MarketType") != "spot":
            return
        factor = self._ec2.world.settings.spot_price_factor
        price = prices.spot(kind, zone, self._ec2.world.clock.now()) * factor
        ceiling = float(self._get_param("InstanceMarketOptions.SpotOptions.MaxPrice") or prices.on_demand(kind))
        if price > ceiling:
            raise EC2ClientError(
                "SpotMaxPriceTooLow",
                f"Your Spot request price of {ceiling} is lower than the minimum required Spot request fulfillment "
                f"price of {price}.",
            )

    def describe_instances(self) -> ActionResult:
        self.error_on_dryrun()
        ids = self._get_param("InstanceIds", [])
        if ids and self._get_param("MaxResults"):
            raise EC2ClientError(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            )
        filters = self._filters_from_querystring()
        found = (
            self._ec2.get_reservations_by_instance_ids(ids, filters=filters)
            if ids
            else self._ec2.describe_instances(filters=filters)
        )
        page, token = self._page(sorted(self._numbered(found), key=lambda row: row[0]))
        reservations: dict[str, dict[str, Any]] = {}
        for reservation, instance in page:
            row: dict[str, Any] = {
                "ReservationId": reservation.id,
                "OwnerId": reservation.owner_id,
                "Groups": [],
                "Instances": [],
            }
            reservations.setdefault(reservation.id, row)["Instances"].append(instance)
        return ActionResult({"Reservations": list(reservations.values()), "NextToken": token})

    def _numbered(self, found: Iterable[Reservation]) -> Iterable[tuple[int, tuple[Reservation, Instance]]]:
        for reservation in found:
            for instance in reservation.instances:
                life = self._ec2.lives.get(instance.id)
                yield (life.serial if life else -1), (reservation, instance)

    def get_console_output(self) -> ActionResult:
        instance = self._ec2.get_instance(self._get_param("InstanceId"))
        life = self._ec2.lives.get(instance.id)
        printed = life.handle.console().encode()[-_CONSOLE_KEPT:] if life and life.handle else b""
        return ActionResult(
            {"InstanceId": instance.id, "Timestamp": utcnow(), "Output": b64encode(printed).decode() or None}
        )

    # Launch templates

    def create_launch_template(self) -> ActionResult:
        return self._once(self._get_param("ClientToken"), super().create_launch_template)

    def create_launch_template_version(self) -> ActionResult:
        return self._once(self._get_param("ClientToken"), self._new_version)

    def _new_version(self) -> ActionResult:
        data = dict(self._get_param("LaunchTemplateData") or {})
        if "UserData" in data:
            data["UserData"] = parse_user_data(data["UserData"])
        if source := self._get_param("SourceVersion"):
            template = {name: self._get_param(name) for name in ("LaunchTemplateId", "LaunchTemplateName")}
            named = {name: value for name, value in template.items() if value} | {"Version": source}
            data = self._ec2._get_template_from_args(named).data | data  # noqa: SLF001 - moto has no other
        self.params["LaunchTemplateData"] = data
        return super().create_launch_template_version()

    # EC2 Fleets

    def create_fleet(self) -> ActionResult:
        self.error_on_dryrun()
        config = {name: self.params[name] for name in self.params}
        return self._once(
            self._get_param("ClientToken"), lambda: ActionResult(instant.answer(self._ec2.instant.create(config)))
        )

    def describe_fleets(self) -> ActionResult:
        """Those of type instant only to who names them, as AWS does it; and here are no others."""
        self.error_on_dryrun()
        known = self._ec2.instant.fleets
        rows = [
            instant.answer(known[name]) | {"FleetState": known[name].state, "Type": "instant"}
            for name in self._get_param("FleetIds", [])
            if name in known
        ]
        return ActionResult({"Fleets": rows})

    def delete_fleets(self) -> ActionResult:
        ids = self._get_param("FleetIds", [])
        if len(ids) > instant.MOST_DELETED:
            raise EC2ClientError("InvalidParameterValue", f"at most {instant.MOST_DELETED} instant fleets a call")
        if not self._get_bool_param("TerminateInstances"):
            raise EC2ClientError("InvalidParameterValue", "an instant fleet can't be deleted without its instances")
        self.error_on_dryrun()
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for name in ids:
            fleet = self._ec2.instant.fleets.get(name)
            if fleet and self._ec2.instant.delete(fleet):
                done.append({"FleetId": name, "PreviousFleetState": "active", "CurrentFleetState": fleet.state})
            else:
                code = "fleetNotInDeletableState" if fleet else "fleetIdDoesNotExist"
                failed.append({"FleetId": name, "Error": {"Code": code, "Message": f"The fleet '{name}': {code}"}})
        return ActionResult({"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": failed})

    # Spot Fleets

    def request_spot_fleet(self) -> ActionResult:
        config = self._get_param("SpotFleetRequestConfig")
        self.error_on_dryrun()
        return self._once(
            config.get("ClientToken"),
            lambda: ActionResult({"SpotFleetRequestId": self._ec2.spot.request(config).id}),
        )

    def modify_spot_fleet_request(self) -> ActionResult:
        raise EC2ClientError("UnsupportedOperation", "this cloud's Spot Fleets keep the size they were made with")

    def cancel_spot_fleet_requests(self) -> ActionResult:
        ids = self._get_param("SpotFleetRequestIds", [])
        if len(ids) > _MOST_CANCELLED:
            raise EC2ClientError("InvalidParameterValue", f"at most {_MOST_CANCELLED} Spot Fleet request ids a call")
        self.error_on_dryrun()
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for name in ids:
            fleet = self._listed().get(name)
            before = fleet.state if fleet else None
            if fleet and self._ec2.spot.cancel(fleet, terminate=bool(self._get_bool_param("TerminateInstances"))):
                done.append(views.cancelled_fleet(fleet, str(before)))
            else:
                failed.append(views.uncancelled_fleet(name, fleet, malformed=not _FLEET_ID.fullmatch(name)))
        return ActionResult({"SuccessfulFleetRequests": done, "UnsuccessfulFleetRequests": failed})

    def _listed(self) -> dict[str, SpotFleet]:
        return {fleet.id: fleet for fleet in self._ec2.spot.listed()}

    def _fleet(self, name: str) -> SpotFleet:
        if not _FLEET_ID.fullmatch(name):
            raise EC2ClientError(
                "InvalidSpotFleetRequestId.Malformed", f"The spot fleet request ID '{name}' is malformed"
            )
        if name not in (listed := self._listed()):
            raise EC2ClientError(
                "InvalidSpotFleetRequestId.NotFound", f"The spot fleet request ID '{name}' does not exist"
            )
        return listed[name]

    def describe_spot_fleet_requests(self) -> ActionResult:
        self.error_on_dryrun()
        names = self._get_param("SpotFleetRequestIds", [])
        wanted = [self._fleet(name) for name in names] if names else self._listed().values()
        page, token = self._page(sorted(((fleet.serial, fleet) for fleet in wanted), key=lambda row: row[0]))
        rows = [views.fleet(fleet, self._ec2.describe_tags({"resource-id": [fleet.id]})) for fleet in page]
        return ActionResult({"SpotFleetRequestConfigs": rows, "NextToken": token})

    def describe_spot_fleet_instances(self) -> ActionResult:
        self.error_on_dryrun()
        fleet = self._fleet(self._get_param("SpotFleetRequestId"))
        page, token = self._page((request.serial, request) for request in fleet.holding)
        rows = [views.active_instance(request) for request in page]
        return ActionResult({"SpotFleetRequestId": fleet.id, "ActiveInstances": rows, "NextToken": token})

    def describe_spot_fleet_request_history(self) -> ActionResult:
        self.error_on_dryrun()
        fleet = self._fleet(self._get_param("SpotFleetRequestId"))
        start, kind = self._get_param("StartTime"), self._get_param("EventType")
        page, token = self._page(
            (number, event)
            for number, event in enumerate(fleet.events)
            if event.at >= epoch(start) and kind in {None, event.kind}
        )
        return ActionResult(views.history(fleet, page, start) | {"NextToken": token})

    # Spot requests

    def request_spot_instances(self) -> ActionResult:
        raise EC2ClientError("UnsupportedOperation", "this cloud makes spot requests for Spot Fleets only")

    def describe_spot_instance_requests(self) -> ActionResult:
        self.error_on_dryrun()
        names = self._get_param("SpotInstanceRequestIds", [])
        wanted = [self._request(name) for name in names] if names else list(self._ec2.spot.requests.values())
        filters = views.Filters(self._filters_from_querystring())
        rows = (
            (request.serial, request)
            for request in sorted(wanted, key=lambda request: request.serial)
            if filters.pass_request(request, self._ec2.tags.get(request.id, {}))
        )
        page, token = self._page(rows)
        found = [views.spot_request(request, self._ec2.tags.get(request.id, {})) for request in page]
        return ActionResult({"SpotInstanceRequests": found, "NextToken": token})

    def _request(self, name: str) -> SpotRequest:
        if name not in self._ec2.spot.requests:
            raise EC2ClientError(
                "InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{name}' does not exist"
            )
        return self._ec2.spot.requests[name]

    def cancel_spot_instance_requests(self) -> ActionResult:
        requests = [self._request(name) for name in self._get_param("SpotInstanceRequestIds", [])]
        self.error_on_dryrun()
        for request in requests:
            self._ec2.spot.cancel_request(request)
        rows = [{"SpotInstanceRequestId": request.id, "State": request.state} for request in requests]
        return ActionResult({"CancelledSpotInstanceRequests": rows})

    def describe_spot_price_history(self) -> ActionResult:
        self.error_on_dryrun()
        filters = self._filters_from_querystring()
        zone = self._get_param("AvailabilityZone")
        page, token = self._page(
            enumerate(
                views.price_rows(
                    self.region,
                    types=self._get_param("InstanceTypes", []) or filters.get("instance-type", []),
                    zones=[zone] if zone else filters.get("availability-zone", []),
                    products=self._get_param("ProductDescriptions", []) or filters.get("product-description", []),
                    start=self._get_param("StartTime"),
                    end=self._get_param("EndTime"),
                    now=self._ec2.world.clock.now(),
                    factor=self._ec2.world.settings.spot_price_factor,
                )
            )
        )
        return ActionResult({"SpotPriceHistory": page, "NextToken": token or ""})
