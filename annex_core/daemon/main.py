"""condor_annexd: started by condor_master, as the condor user; the one place that builds adapters."""

import fcntl
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import FrameType

import htcondor2

from annex_core.adapters import log as condor_log
from annex_core.adapters.audit import AuditLog
from annex_core.adapters.aws_credentials import Held, source
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.ec2 import ec2_cloud
from annex_core.adapters.history import History
from annex_core.adapters.hooks import unusable_hooks
from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_costs import Ledger
from annex_core.adapters.market_file import MarketFile
from annex_core.adapters.order_book import OrderBook
from annex_core.adapters.pool_limits import pool_limits
from annex_core.adapters.preflight import Pool, Preflight
from annex_core.adapters.price_list import price_list
from annex_core.adapters.prober import prober
from annex_core.adapters.queue import ScheddQueue
from annex_core.adapters.routes import RouteBook, configured
from annex_core.adapters.s3 import bundle_store
from annex_core.adapters.server import Server
from annex_core.adapters.settings import Settings, settings
from annex_core.adapters.signs import sign_reader
from annex_core.adapters.slots import CollectorSlots
from annex_core.adapters.tokens import CollectorTokens
from annex_core.daemon.answering import Answers
from annex_core.daemon.bell import Bell
from annex_core.daemon.commanding import Commands
from annex_core.daemon.costs import costs
from annex_core.daemon.describing import Site
from annex_core.daemon.foresight import Foresight
from annex_core.daemon.hands import Hands
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.key_desk import KeyDesk
from annex_core.daemon.keyring import KeyRing
from annex_core.daemon.launching import Launcher
from annex_core.daemon.observing import Observer
from annex_core.daemon.provisioner import Provisioner, Recipes
from annex_core.daemon.quotes import Quotes
from annex_core.daemon.regions import Region, Regions
from annex_core.daemon.remains import Remains
from annex_core.daemon.status import status
from annex_core.errors import AnnexError, JournalBroken
from annex_core.model.place import Place
from annex_core.planner.matching import Matcher
from annex_core.planner.outlay import price

log = logging.getLogger("annex_core.daemon")

LEARN_S = 60.0
"""Between two looks at the schedd's history."""

HURRY = timedelta(seconds=10)
"""Between two looks while AWS takes a machine back: its jobs come back to the queue one after the other."""

_HEED_S = 0.5
"""Between two looks whether a signal has come: one that the kernel gives to another thread wakes nobody who waits."""

GATHER_S = 0.3
"""Words that come within this time of the first are answered by one plan."""


def main() -> int:
    # condor_master starts its children with almost every signal blocked, and takes us for a DaemonCore daemon: what it
    # hands down for one, a session key and a listening socket, is nothing that our children should have.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for inherited in ("CONDOR_INHERIT", "CONDOR_PRIVATE_INHERIT"):
        os.environ.pop(inherited, None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold users' keys
    try:
        chosen = settings()
    except AnnexError as error:
        sys.stderr.write(f"condor_annexd: {error}\n")  # no log yet; condor_master keeps stderr
        return 2
    try:
        condor_log.start(chosen.log)
    except OSError as error:
        sys.stderr.write(f"condor_annexd: {error}; condor_master starts it, as the condor user\n")
        return 2
    log.info("** condor_annexd starts, pid %d, user %d", os.getpid(), os.geteuid())
    try:
        lock = _only_one(chosen.lock)
        daemon = Daemon(chosen)
        daemon.run()
    except (AnnexError, OSError) as error:
        log.error("%s", error)
        return 1
    os.close(lock)
    return 0


def _only_one(path: Path) -> int:
    """Hold the lock for as long as this process lives."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AnnexError(f"another condor_annexd holds {path}") from None
    return lock


class Daemon:
    """
    Args:
        chosen: The settings at the start; those that name files and addresses hold until the next start.
    """

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen
        self._audit = AuditLog()
        self._audit.start(chosen.audit)
        self._reread = threading.Event()
        self._leave = threading.Event()
        self._bell = Bell(partial(self._leave.wait, GATHER_S))
        self._catalogue = Catalogue()
        self._book = RouteBook(self._catalogue)
        self._recipes = Recipes({}, {})
        journal = Journal(chosen.journal)
        orders = OrderBook(journal)
        hearsay = Hearsay()
        self._keyring = KeyRing()
        self._history = History(chosen.journal.with_name("runtimes.json"))
        queue = ScheddQueue(self._history.expected if chosen.learn_run_times else None)
        regions = Regions(self._region)
        hands = Hands()
        clock = partial(datetime.now, UTC)
        self._quotes = Quotes(
            regions=regions,
            hands=hands,
            file=MarketFile(chosen.journal.with_name("market.json")),
            bundled=self._bundled_prices,
        )
        ledger = Ledger(journal, self._at_most)
        self._provisioner = Provisioner(
            observer=Observer(
                queue=queue,
                slots=CollectorSlots(chosen.collector),
                regions=regions,
                hands=hands,
                late=self._bell.ring,
                journal=journal,
                orders=orders,
                hearsay=hearsay,
                outcomes=self._history.outcomes,
                keyring=self._keyring,
                quotes=self._quotes,
                pool=chosen.pool,
                access_point=chosen.access_point,
                domain=chosen.domain,
                trust_domain=chosen.trust_domain,
            ),
            launcher=Launcher(
                site=Site(
                    chosen.pool,
                    chosen.access_point,
                    chosen.domain,
                    chosen.collector,
                    chosen.trust_domain,
                    version=chosen.version,
                ),
                journal=journal,
                regions=regions,
                tokens=CollectorTokens(),
                clock=clock,
            ),
            journal=journal,
            orders=orders,
            ledger=ledger,
            regions=regions,
            queue=queue,
            hands=hands,
            matcher=Matcher(domain=chosen.domain),
            clock=clock,
            wake=self._bell.ring,
        )
        desk = KeyDesk(
            self._keyring,
            chosen.key_files,
            lambda: self._recipes.routes,
            clock=clock,
            wake=self._bell.ring_at_once,
        )
        commands = Commands(
            standing=lambda: self._provisioner.standing,
            journal=journal,
            orders=orders,
            keys=desk,
            remains=Remains(
                regions=regions, hands=Hands(), pool=chosen.pool, access_point=chosen.access_point, clock=clock
            ),
            administrators=chosen.administrators,
            default_route=chosen.default_route,
            wake=self._bell.ring_at_once,
            clock=clock,
            types=self._catalogue.types,
            spent=ledger.spent,
        )
        answers = Answers(
            hearsay=hearsay,
            outlook=self._provisioner.outlook,
            costs=lambda owner: costs(commands.standing(), ledger.spent(clock(), every_month=True), owner),
            status=lambda owner, administrator: status(commands.standing(), owner, administrator=administrator),
            command=commands,
            foresee=Foresight(
                standing=commands.standing,
                expect=self._history.expected if chosen.learn_run_times else None,
                domain=chosen.domain,
                administrators=chosen.administrators,
            ),
            keys=desk,
            administrators=chosen.administrators,
            wake=self._bell.ring,
            audit=self._audit.write,
            clock=clock,
        )
        self._server = Server(chosen.socket, answers)

    def run(self) -> None:
        """Until SIGTERM, SIGQUIT or SIGINT; then gone within a second, whatever was under way."""
        signal.signal(signal.SIGHUP, self._on_reconfig)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(number, self._on_leave)
        self._read_routes()
        with self._server:
            log.info("listening at %s", self._chosen.socket)
            threading.Thread(target=self._work, name="cycle", daemon=True).start()
            if self._chosen.learn_run_times:
                looks = partial(self._leave.wait, LEARN_S)
                threading.Thread(target=self._history.watch, args=(looks,), name="history", daemon=True).start()
            while not self._leave.wait(_HEED_S):
                pass
        log.info("** condor_annexd leaves; what was under way stands in the journal")
        logging.shutdown()
        # Threads may be waiting for AWS: the journal has what they meant, and the next start picks it up.
        os._exit(0)

    def _on_reconfig(self, _number: int, _frame: FrameType | None) -> None:
        self._reread.set()
        self._bell.ring()

    def _on_leave(self, _number: int, _frame: FrameType | None) -> None:
        self._leave.set()

    def _work(self) -> None:
        while True:
            try:
                if self._reread.is_set():
                    self._reread.clear()
                    self._reconfigure()
                self._provisioner.cycle(self._recipes)
            except JournalBroken as error:
                log.error("nothing is launched: %s", error)
            except Exception:
                log.exception("this cycle was given up; the next one starts afresh")
            hurried = self._provisioner.hurried
            self._bell.wait(min(self._chosen.interval, HURRY) if hurried else self._chosen.interval)

    def _reconfigure(self) -> None:
        log.info("reading the configuration again")
        htcondor2.reload_config()
        try:
            chosen = settings()
            condor_log.start(chosen.log)
            self._audit.start(chosen.audit)
            self._read_routes()
        except (AnnexError, OSError) as error:
            log.error("what was in force before stays so: %s", error)

    def _read_routes(self) -> None:
        reading = self._book.read(configured())
        for finding in reading.findings:
            log.log(logging.ERROR if finding.fatal else logging.WARNING, "%s", finding)
        for hook in unusable_hooks():
            log.error("%s", hook)
        limits = pool_limits()
        if limits.malformed:
            log.error("nothing is launched: ANNEX_LIMITS: %s", limits.malformed)
        self._recipes = Recipes(reading.routes, reading.refused, limits)
        log.info("routes in force: %s", ", ".join(reading.routes) or "none")

    def _bundled_prices(self, region: str, names: Iterable[str]) -> Mapping[str, Decimal]:
        kinds = self._catalogue.types(region, names)
        return {name: kind.on_demand for name, kind in kinds.items() if kind.on_demand is not None}

    def _at_most(self, place: Place, name: str) -> Decimal | None:
        kind = self._catalogue.types(place.region, [name]).get(name)
        known = self._quotes.on_demand(place, [name])
        return price(replace(kind, on_demand=known.get(name)) if kind else None, None)

    def _region(self, place: Place) -> Region:
        """
        Raises:
            NotPermitted: There is no such profile.
        """
        aws = AwsRegion(
            place.region,
            endpoint=place.endpoint,
            credentials=Held(partial(self._keyring.keys, place.owner))
            if place.owner
            else source(place.credentials, self._chosen.credentials),
            told=self._audit.told,
        )
        with aws_call("AnnexCredentials"):
            cloud = ec2_cloud(aws)
        return Region(
            place,
            cloud,
            partial(bundle_store, aws),
            sign_reader(aws),
            prober(aws, self._chosen.collector, self._chosen.trust_domain),
            Preflight(aws, cloud, Pool(self._chosen.pool, self._chosen.access_point)).findings,
            price_list(aws),
        )


if __name__ == "__main__":
    sys.exit(main())
