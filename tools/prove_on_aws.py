"""
make prove-on-aws: ask AWS what only AWS can show, with at most five small Spot instances, and take all of it down.

It needs an account, and a role for Spot Fleets in it: `condor_annex setup` makes one. Each fact that it prints is one
that this project relies on or has to live with; what could not be shown is said too. It takes half an hour.
"""

import argparse
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from functools import partial
from typing import TypeVar

from annex_core.account.components import fleet_role_name
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.ec2 import Ec2Cloud, ec2_cloud
from annex_core.cli.asking_aws import aws_region, parser, who_asks
from annex_core.cli.consent import agreed
from annex_core.errors import AnnexError, Refused
from annex_core.model.names import AnnexKey
from annex_core.model.route import FleetApi, Market
from annex_core.model.supply import Instance, InstanceState
from annex_core.model.tags import DRAINING, POOL, AnnexTags
from annex_core.ports import LaunchRequest, Override, TemplateRequest

Found = TypeVar("Found")

TYPES = ("t3.micro", "t3a.micro")
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
MOST = 5
"""Instances, if AWS took each request that is sent twice for two."""
WITHIN = timedelta(hours=1)
"""After which AWS itself ends what is left, whatever becomes of this process."""
ADDRESS_USD, VOLUME_USD = Decimal("0.005"), Decimal("0.003")
"""An hour of a public address, and of 20 GiB of a volume. Source: AWS's price list, autumn 2026, rounded up."""
LESS_THAN_USD = Decimal(1)
"""All of it; where it could cost as much, nothing is asked for."""
CENT = Decimal("0.01")
TOO_LOW_USD = Decimal("0.0001")
"""An hour of an instance, for which there is none."""
MARK = "annex-proof"

LOOKS_AT_ITS_TAGS = f"""#!/bin/bash
# Says on its console when it can see its tags, and when there is one more; then it shuts down.
metadata=${{ANNEX_METADATA:-http://169.254.169.254}}
tag() {{
    token=$(curl -fs -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") &&
        curl -fs -m 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/tags/instance/$1" >/dev/null
}}
began=$(date +%s)
until tag {POOL}; do sleep 1; done
echo "{MARK} seen $(($(date +%s) - began))"
until tag {DRAINING}; do sleep 1; done
echo "{MARK} changed $(date +%s)"
sleep "${{ANNEX_PROOF_PAUSE:-60}}" # EC2 takes its time to get what was printed
shutdown -h now
"""
DOES_NOTHING = "#!/bin/sh\nsleep 7200\n"


@dataclass(frozen=True)
class Patience:
    """For how long each thing may take, in seconds."""

    start: float = 300
    console: float = 600
    end: float = 600
    bound: float = 300
    """From a request to its ValidUntil."""
    more: float = 120
    """For something that should not come."""
    poll: float = 5


@dataclass(frozen=True)
class Where:
    image: str
    """An AMI."""
    role: str
    """ARN of what Spot Fleets launch with."""
    subnets: tuple[str | None, ...]
    """None alone: wherever the account's default VPC has one."""
    ceiling: Decimal
    """USD an hour and instance."""


class Trial:
    """One fleet of one instance, and all that carries its tag."""

    def __init__(self, cloud: Ec2Cloud, where: Where, user_data: str, *, ends: datetime, ceiling: Decimal) -> None:
        self._cloud = cloud
        self.pool = f"{MARK}-{secrets.token_hex(4)}"
        tags = AnnexTags(
            AnnexKey("prover", MARK), MARK, MARK, self.pool, MARK, lease_ends=ends, ends_at_latest=ends
        ).as_dict()
        self.requested = _now()
        self.fleets: list[str] = []
        """The ids that AWS answered with, each once: one, unless it took the same request for another."""
        request = TemplateRequest(self.pool, secrets.token_hex(16), where.image, user_data, tags)
        self._template = cloud.put_template(request, existing=None)
        places = [Override(kind, subnet, ceiling) for kind in TYPES for subnet in where.subnets]
        self._document = cloud.encode(
            LaunchRequest(
                FleetApi.SPOT_FLEET,
                Market.SPOT,
                client_token=secrets.token_hex(16),
                template=self._template,
                overrides=tuple(places),
                target=1,
                allocation_strategy="priceCapacityOptimized",
                valid_from=_now(),
                valid_until=ends,
                fleet_role=where.role,
                tags=tags,
            )
        )

    def request(self) -> str:
        """Send it, the same each time; the fleet request's id."""
        fleet = self._cloud.request(self._document).fleet
        if fleet is None:
            raise Refused("AWS named no fleet")
        if fleet not in self.fleets:
            self.fleets.append(fleet)
        return fleet

    def alive(self) -> Sequence[Instance]:
        running = {InstanceState.PENDING, InstanceState.RUNNING}
        return [each for each in self._cloud.instances(self.pool) if each.state in running]

    def fate(self, instance: str) -> str | None:
        """Terminated or stopped; None while it is neither."""
        state = {each.id: each.state for each in self._cloud.instances(self.pool)}.get(instance)
        if state is None:
            return "terminated"
        return str(state) if state is InstanceState.STOPPED else None

    def end(self) -> None:
        """Again and again, until nothing is left."""
        self._cloud.cancel_fleets(self.fleets, terminate=True)  # what it leaves is listed all the same
        self._cloud.delete_template(self._template.id)
        self._cloud.terminate([each.id for each in self.alive()])

    def left(self) -> list[str]:
        return self._cloud.remains({POOL: self.pool})


class Proof:
    """
    Args:
        say: Takes a sentence.
    """

    def __init__(self, cloud: Ec2Cloud, where: Where, say: Callable[[str], None], patience: Patience) -> None:
        self._cloud = cloud
        self._where = where
        self._say = say
        self._patience = patience
        self._trials: list[Trial] = []

    def run(self) -> bool:
        """Whether all could be shown."""
        untold = 0
        for ask in (self.from_birth_to_end, self.open_requests, self.expiry, self.token):
            try:
                for fact in ask():
                    self._say(f"fact: {fact}")
            except (AnnexError, TimeoutError) as error:
                self._say(f"NOT SHOWN: {error}")
                untold += 1
        return not untold

    def take_down(self) -> list[str]:
        """End all of it; what AWS still lists in the end, a phrase each."""
        left: list[str] = []
        for trial in self._trials:
            try:
                self._wait("the end of what was asked for", self._patience.end, partial(_is_gone, trial))
            except (AnnexError, TimeoutError) as error:
                left += [*trial.left(), str(error)]
        return left

    def from_birth_to_end(self) -> Iterator[str]:
        trial = self._trial(LOOKS_AT_ITS_TAGS)
        asked = time.monotonic()
        fleet = trial.request()
        yield f"RequestSpotFleet, sent twice, makes {'one fleet' if trial.request() == fleet else 'TWO FLEETS'}"
        machine = self._wait("an instance", self._patience.start, trial.alive)[0]
        yield f"the template's tags are on an instance as soon as it is listed, {time.monotonic() - asked:.0f} s later"
        (seen,) = self._wait("its tags in its metadata", self._patience.console, lambda: self._said(machine, "seen"))
        yield f"tags are in instance metadata {seen} s after user data begins"
        self._wait("AWS's own tag", self._patience.console, lambda: any(each.fleet for each in trial.alive()))
        yield f"aws:ec2spot:fleet-request-id is on an instance {_since(machine.launched):.0f} s after its launch"
        sent = time.time()
        if refused := self._cloud.retag([machine.id], {DRAINING: "true"}):
            raise Refused(refused[machine.id])
        (changed,) = self._wait("a tag's change", self._patience.console, lambda: self._said(machine, "changed"))
        yield f"a new tag is in instance metadata {max(0.0, changed - sent):.0f} s after CreateTags"
        fate = self._wait("its shutdown", self._patience.end, lambda: trial.fate(machine.id))
        yield f"an instance of a Spot Fleet that shuts itself down is {fate}"
        yield f"its fleet launches {'another in its place' if self._comes(trial.alive) else 'none in its place'}"

    def open_requests(self) -> Iterator[str]:
        trial = self._trial(DOES_NOTHING, ceiling=TOO_LOW_USD)
        fleet = trial.request()
        some = self._wait("an open request", self._patience.start, lambda: self._cloud.open_requests([fleet]))
        yield f"a fleet that can have no instance has {len(some)} open request ({some[0].status or 'no status'})"
        self._cloud.cancel_open_requests([each.id for each in some])
        again = self._comes(lambda: self._cloud.open_requests([fleet]))
        yield f"an open request of a fleet can be cancelled alone; the fleet opens {'ANOTHER' if again else 'no other'}"
        trial.end()

    def expiry(self) -> Iterator[str]:
        ends = _now() + timedelta(seconds=self._patience.bound)
        trial = self._trial(DOES_NOTHING, ends=ends)
        trial.request()
        machine = self._wait("an instance", self._patience.start, trial.alive)[0]
        within = -_since(ends) + self._patience.end
        self._wait("TerminateInstancesWithExpiration", within, lambda: not trial.alive())
        yield f"TerminateInstancesWithExpiration ends {machine.type} {max(0.0, _since(ends)):.0f} s after ValidUntil"

    def token(self) -> Iterator[str]:
        """The first request once more, when all else is over."""
        if not self._trials:
            return
        first = self._trials[0]
        state = "still known" if first.request() == first.fleets[0] else "FORGOTTEN"
        yield f"a client token is {state} {_since(first.requested) / 60:.0f} minutes later"

    def _trial(self, user_data: str, *, ends: datetime | None = None, ceiling: Decimal | None = None) -> Trial:
        made = Trial(
            self._cloud, self._where, user_data, ends=ends or _now() + WITHIN, ceiling=ceiling or self._where.ceiling
        )
        self._trials.append(made)
        return made

    def _said(self, machine: Instance, what: str) -> tuple[int] | None:
        """The number behind that word on its console; in a tuple, for it may be 0."""
        found = re.search(rf"{MARK} {what} (\d+)", self._cloud.console(machine.id))
        return (int(found[1]),) if found else None

    def _wait(self, what: str, patience_s: float, look: Callable[[], Found | None]) -> Found:
        """
        Look until there is something.

        Raises:
            TimeoutError: There is nothing yet.
        """
        ends = time.monotonic() + patience_s
        while not (found := look()):
            if time.monotonic() > ends:
                raise TimeoutError(f"{what} did not come within {patience_s:.0f} s")
            time.sleep(self._patience.poll)
        return found

    def _comes(self, look: Callable[[], object]) -> bool:
        """Whether what should not come comes all the same."""
        try:
            self._wait("it", self._patience.more, look)
        except TimeoutError:
            return False
        return True


def main(arguments: Sequence[str]) -> int:
    """0 if everything was shown and nothing of it is left."""
    options = parser("prove-on-aws", (__doc__ or "").partition("\n\n")[2])
    options.prog = "make prove-on-aws"
    options.add_argument("-region", "--region", default="us-east-2", help="default: %(default)s")
    options.add_argument("-subnets", "--subnets", metavar="ID", nargs="+", help="default: those of the default VPC")
    options.add_argument("-role", "--role", metavar="ARN", help="of Spot Fleets; default: what setup has made")
    options.add_argument(
        "-image", "--image", default=IMAGE, help="an AMI, or a parameter with one; default: %(default)s"
    )
    options.add_argument("-yes", "--yes", action="store_true", help="don't ask")
    wanted = options.parse_args(arguments)
    try:
        return _prove(wanted)
    except AnnexError as error:
        print(f"make prove-on-aws: {error}", file=sys.stderr)
        return 1


def _prove(wanted: argparse.Namespace, patience: Patience = Patience()) -> int:
    region = aws_region(wanted, wanted.region)
    partition, account = who_asks(region)
    where = _where(wanted, region, f"arn:{partition}:iam::{account}:role/{fleet_role_name(wanted.region)}")
    hours = int(WITHIN / timedelta(hours=1))
    usd = MOST * hours * (where.ceiling + ADDRESS_USD + VOLUME_USD)
    if usd >= LESS_THAN_USD:
        raise Refused(
            f"in {wanted.region} it could cost {usd.quantize(CENT, ROUND_UP)} USD, and it is to cost less than"
            f" {LESS_THAN_USD}: take another region"
        )
    print(f"Account {account}, {wanted.region}: at most {MOST} Spot instances ({' or '.join(TYPES)}) for {hours} hour,")
    print(f"{usd.quantize(CENT, ROUND_UP)} USD at most, addresses and volumes among it.")
    if not agreed("Go on?", yes=wanted.yes):
        return 1
    proof = Proof(ec2_cloud(region), where, lambda sentence: print(sentence, flush=True), patience)
    shown = False
    try:
        shown = proof.run()
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        print("taking it down", flush=True)
        left = proof.take_down()
        for each in left:
            print(f"LEFT: {each}")
    if not left:
        print("nothing of it is left")
    return 0 if shown and not left else 1


def _where(wanted: argparse.Namespace, region: AwsRegion, role: str) -> Where:
    prices = [kind.on_demand for kind in Catalogue().types(wanted.region, TYPES).values()]
    known = [price for price in prices if price is not None]
    if len(known) < len(TYPES):
        raise Refused(f"no price of {' and '.join(TYPES)} in {wanted.region} is known: take another region")
    subnets = tuple(wanted.subnets) if wanted.subnets else (None,)
    return Where(ec2_cloud(region).resolve_image(wanted.image), wanted.role or role, subnets, max(known))


def _is_gone(trial: Trial) -> bool:
    trial.end()
    return not trial.left()


def _now() -> datetime:
    return datetime.now(UTC)


def _since(moment: datetime) -> float:
    return (_now() - moment).total_seconds()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
