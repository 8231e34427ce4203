"""What an action is done for, as the audit log has it."""

from collections.abc import Container

from annex_core.model import tags
from annex_core.model.annex import Launch
from annex_core.model.audit import Origin, Who
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.plan import Action, CancelFleets, CloseLaunch, FinishAnnex, LaunchFleet, Retag, Terminate
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Fleet, Instance

Cause = tuple[Origin, str | None, Who | None]
"""Its origin, the annexes that it concerns as owner/name, and who ordered it by hand, if somebody did."""


def cause(what: Action | Launch, snapshot: Snapshot) -> Cause:
    """
    Args:
        what: An action, or a launch that is sent again.
    """
    match what:
        case LaunchFleet(annex=annex, order=order):
            return _of_machines(order, _written(annex.key), snapshot)
        case Launch(annex=id_, order=order):
            return _of_machines(order, _by_id(id_, snapshot), snapshot)
        case CloseLaunch(launch, by=by):
            return _commanded(by), _by_id(launch.annex, snapshot), by
        case CancelFleets(place, ids, by=by) | Terminate(place, ids, by=by):
            return _commanded(by), _tagged(place, ids, snapshot), by
        case Retag(annex, by=by):
            return _commanded(by), _written(annex.key), by
        case FinishAnnex(annex):
            return _commanded(annex.ended_by), _written(annex.key), annex.ended_by
        case _:
            return Origin.LEASE, None, None


def _commanded(by: Who | None) -> Origin:
    return Origin.COMMAND if by else Origin.LEASE


def _of_machines(order: str | None, annex: str | None, snapshot: Snapshot) -> Cause:
    by = next((Who(each.by, each.by_uid) for each in snapshot.orders if each.id == order), None) if order else None
    return (Origin.COMMAND, annex, by) if by else (Origin.GROWTH, annex, None)


def _by_id(id_: str, snapshot: Snapshot) -> str | None:
    return next((_written(key) for key, annex in snapshot.annexes.items() if annex.id == id_), None)


def _tagged(place: Place, ids: Container[str], snapshot: Snapshot) -> str | None:
    view = snapshot.regions.get(place, RegionView())
    shown: list[Fleet | Instance] = [*view.fleets, *view.instances]
    keys = {tags.key_of(each.tags) for each in shown if each.id in ids}
    return ", ".join(sorted(_written(key) for key in keys if key)) or None


def _written(key: AnnexKey) -> str:
    return f"{key.owner}/{key.name}"
