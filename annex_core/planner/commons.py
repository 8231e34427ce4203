"""What annexes have together: limits of an owner, a project, a route and the pool, and what is taken of each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch
from annex_core.model.hardware import InstanceType
from annex_core.model.limits import Kind, Limit, Subject, subjects
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.plan import LaunchFleet
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.wording import counted
from annex_core.planner.blackholes import BlackHoles
from annex_core.planner.caps import Allowance
from annex_core.planner.holdings import outstanding
from annex_core.planner.outlay import Outlay, by_aws_clock, by_month, outlay, past
from annex_core.planner.places import types_of
from annex_core.planner.strangers import adopt, strangers

FLEETS_A_REGION = 1_000
"""AWS's quota of active fleet requests; filled ones are active until they are cancelled."""
_HERE = "(ANNEX_LIMITS)"


@dataclass(frozen=True)
class Share:
    """A limit that binds an annex with others, and what those others take of it."""

    subject: Subject
    limit: Limit
    others: Outlay


def turns(keys: Iterable[AnnexKey], snapshot: Snapshot) -> list[AnnexKey]:
    """
    Who is served first where a limit is not enough for all: the owner whose annexes have fewest machines, then of an
    owner's annexes the one that has fewest, then by name.
    """
    owners = {annex.id: key for key, annex in snapshot.annexes.items()}
    held = Counter(owners[each.annex] for each in snapshot.known if each.gone is None and each.annex in owners)
    of_owner: Counter[str] = Counter()
    for key, count in held.items():
        of_owner[key.owner] += count
    return sorted(keys, key=lambda key: (of_owner[key.owner], key.owner, held[key], key))


def of_annex(annex: Annex) -> tuple[Subject, ...]:
    return subjects(owner=annex.key.owner, name=annex.key.name, project=annex.project, route=annex.route)


class Commons:
    """
    What all annexes of a snapshot take of the limits that they share, what a plan gives them one after the other being
    added as it is given; and what their machines have come to.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.black_holes = BlackHoles(snapshot)
        self.limits = snapshot.pool_limits
        self._taken: dict[Subject, Outlay] = {}
        self._held: dict[Subject, Outlay] = {}
        self._of: dict[str, Outlay] = {}
        self._fleets = {
            place: sum(fleet.may_launch for fleet in view.fleets) for place, view in snapshot.regions.items()
        }
        if not self.limits.said:
            return
        for spent in snapshot.spent:
            for each in subjects(owner=spent.owner, name=spent.name, project=spent.project, route=spent.route):
                # An annex's budget is one life's; all else's goes over lives.
                self._take(each, past(spent.month, spent.usd, in_all=each.kind is not Kind.ANNEX))
        for annex in snapshot.annexes.values():
            self._add(annex, self.own(annex))
        self._held = dict(self._taken)
        for place, view in snapshot.regions.items():
            self._add_strangers(place, view)
        # Only limits ask for what hands have not finished: without any, each annex's own caps hold by themselves.
        for asked in under_way(snapshot):
            self.ask(asked.annex, [asked])

    def shares(self, annex: Annex) -> tuple[Share, ...]:
        """The limits that bind an annex, each with what others take; its own part is for whoever asks to add."""
        own = self._of.get(annex.id, Outlay())
        bound = ((each, self.limits.of(each)) for each in of_annex(annex)) if self.limits.said else ()
        return tuple(
            Share(each, limit, self._taken.get(each, Outlay()) - own) for each, limit in bound if limit != Limit()
        )

    def held(self, subject: Subject) -> Outlay:
        """What the journal knows of: nothing that a plan gives or strangers have, and that may count twice."""
        return self._held.get(subject, Outlay())

    def own(self, annex: Annex, coming: Iterable[tuple[Launch, int]] | None = None) -> Outlay:
        """
        What an annex takes itself.

        Args:
            coming: Launches that may bring more, and how many; None: those of the snapshot.
        """
        return self.taken_by(annex, self.known(annex), self.outstanding(annex) if coming is None else coming)

    def known(self, annex: Annex) -> Sequence[KnownInstance]:
        """Its machines, gone ones included."""
        return self._snapshot.known_of(annex)

    def outstanding(self, annex: Annex) -> tuple[tuple[Launch, int], ...]:
        """Its launches of the snapshot that may bring more machines, and how many."""
        return outstanding(self._snapshot.launches_of(annex), self.known(annex))

    def ask(self, annex: Annex, asked: Iterable[LaunchFleet]) -> None:
        """Count what the plan gives to an annex."""
        asked = tuple(asked)
        for each in asked:
            self._fleets[each.route.place] = self._fleets.get(each.route.place, 0) + 1
        if self.limits.said:
            coming = [(each.as_launch("", self._snapshot.at), each.target) for each in asked]
            self._add(annex, self.taken_by(annex, (), coming))

    def fleets_left(self, place: Place) -> int:
        """How many more fleet requests AWS's quota lets be made there."""
        return max(FLEETS_A_REGION - self._fleets.get(place, 0), 0)

    def refusal(self, longer: Annex) -> str | None:
        """Why an annex may not have that lease: until then it would cost more than a budget has room for."""
        if self.limits.malformed:
            return unreadable(self.limits.malformed)
        own = self.own(longer)
        return next((why for share in self.shares(longer) if (why := _passed(share, own))), None)

    def taken_by(self, annex: Annex, known: Iterable[KnownInstance], coming: Iterable[tuple[Launch, int]]) -> Outlay:
        """What machines of an annex take, and those that its launches may bring."""
        snapshot, coming = self._snapshot, tuple(coming)
        types = types_of(annex, snapshot)
        for launch, _ in coming:  # the first one by a fallback goes where the annex has nothing yet
            if launch.place != annex.place:
                types = {**snapshot.types.get(launch.place, {}), **types}
        return outlay(
            annex,
            known,
            by_aws_clock(coming, snapshot),
            snapshot.at,
            launches=self._snapshot.launches_of(annex),
            types=types,
            route=snapshot.routes.get(annex.route),
        )

    def _take(self, subject: Subject, some: Outlay) -> None:
        self._taken[subject] = self._taken.get(subject, Outlay()) + some

    def _add(self, annex: Annex, some: Outlay) -> None:
        self._of[annex.id] = self._of.get(annex.id, Outlay()) + some
        for each in of_annex(annex):
            self._take(each, some)

    def _add_strangers(self, place: Place, view: RegionView) -> None:
        """What AWS shows and the journal does not know costs money too, and is whosever its tags say."""
        snapshot = self._snapshot
        fleets, machines = strangers(view, snapshot.annexes, snapshot.launches, access_point=snapshot.access_point)
        if not fleets and not machines:
            return
        begun, launches = adopt(place, fleets, machines, snapshot.annexes, access_point=snapshot.access_point)
        may_come = {each.id: max(each.target - int(each.fulfilled), 0) for each in fleets if each.may_launch}
        for annex in [*begun, *snapshot.annexes.values()]:
            known = [
                KnownInstance(each.id, annex.id, None, each.type, each.launched, None)
                for each in machines
                if tags.key_of(each.tags) == annex.key
            ]
            coming = [(each, count) for each in launches if each.annex == annex.id
                      and (count := may_come.get(each.fleet or "", 0))]  # fmt: skip
            if known or coming:
                self._add(annex, self.taken_by(annex, known, coming))


def under_way(snapshot: Snapshot) -> list[LaunchFleet]:
    """What an earlier plan asks for that stands in no journal yet: a hand is slow, and it counts as bought."""
    found: list[LaunchFleet] = []
    for decided, asked in snapshot.under_way:
        ids = {each.annex.id for each in asked}
        for id_ in ids:
            written = sum(each.annex == id_ and each.intended >= decided for each in snapshot.launches)
            found += [each for each in asked if each.annex.id == id_][written:]
    return found


def unreadable(why: str) -> str:
    return f"nobody can tell what this access point allows, for ANNEX_LIMITS can't be read ({why})"


def room(
    wanted: int,
    dearest: InstanceType,
    price: Decimal | None,
    shares: Sequence[Share],
    own: Outlay,
    begins: datetime,
    ends: datetime,
) -> Allowance:
    """
    Cut *wanted* down to what every limit that the annex shares with others leaves.

    Args:
        dearest: The largest type the fleet may bring.
        price: USD an hour for one instance of the dearest, all included; None is unknown.
        own: What the annex takes, with what was asked for in this step.
        begins, ends: How long what is asked for now may run; all of that is put aside.
    """
    allowed = Allowance(wanted)
    for share in shares:
        for count, reason in _bounds(share, share.others + own, dearest, price, begins, ends):
            if max(count, 0) < allowed.instances:
                allowed = Allowance(max(count, 0), f"{reason} {_HERE}")
    return allowed


def _bounds(
    share: Share, taken: Outlay, dearest: InstanceType, price: Decimal | None, begins: datetime, ends: datetime
) -> Iterable[tuple[int, str]]:
    limit, whose = share.limit, f"for {share.subject}"
    if limit.instances is not None:
        yield limit.instances - taken.instances, f"the cap of {counted(limit.instances, 'machine')} {whose} is reached"
    if limit.vcpus is not None:
        if taken.vcpus.known is None:
            yield 0, f"the vCPUs held {whose} are not known, and there is a cap on them"
        else:
            count = int((limit.vcpus - taken.vcpus.known) // dearest.vcpus)
            yield count, f"the cap of {counted(limit.vcpus, 'vCPU')} {whose} is reached"
    if not limit.in_dollars:
        return
    if price is None:
        yield 0, f"the price of {dearest.name} is not known, and there is a limit in dollars {whose}"
        return
    if limit.hourly is not None:
        yield (
            _times(limit.hourly, taken.hourly.known, price),
            f"the limit of ${limit.hourly} an hour {whose} is reached",
        )
    hours = dict(by_month(begins, ends))
    if limit.budget is not None:
        count = _times(limit.budget, taken.total.known, price * sum(hours.values()))
        yield count, f"the budget of ${limit.budget} {whose} has no room for more"
    if limit.monthly is not None:
        count = min(_times(limit.monthly, taken.in_month(month), price * some) for month, some in hours.items())
        yield count, f"the monthly budget of ${limit.monthly} {whose} has no room for more"


def _times(limit: Decimal, taken: Decimal | None, each: Decimal) -> int:
    """How often *each* fits into what is left; what is not known leaves nothing, and nothing costs nothing."""
    if taken is None or taken > limit:
        return 0
    return int((limit - taken) // each) if each else 1 << 30


def _passed(share: Share, own: Outlay) -> str | None:
    taken, limit, whose = share.others + own, share.limit, f"for {share.subject}"
    wanted = [("budget", limit.budget, taken.total.known)]
    wanted += [("monthly budget", limit.monthly, taken.in_month(month)) for month in sorted(own.months)]
    for word, most, needs in wanted:
        if most is not None and (needs is None or needs > most):
            much = "nobody knows how much" if needs is None else f"${needs:.2f} at most"
            return f"with its machines until then {share.subject} would cost {much}, and the {word} {whose} is ${most}"
    return None
