"""Stand-ins for what the daemon reaches through its ports, as simple as each port allows."""

import json
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta
from functools import partial

from annex_core.daemon.key_desk import KeyDesk
from annex_core.daemon.keyring import KeyRing
from annex_core.errors import OutcomeUnknown, Refused
from annex_core.model.signs import Signs
from annex_core.model.supply import Fleet
from annex_core.ports import Launched, TemplateRef, Trouble
from tests.unit.world import NOW, TYPES


class AtOnce(Executor):
    """Carries a task out before submit() returns."""

    def submit(self, task, /, *given, **named):
        done = Future()
        _carry_out(done, partial(task, *given, **named))
        return done


class Hangs(Executor):
    """Carries nothing out before it is told to go on."""

    def __init__(self):
        self.waiting = []

    def submit(self, task, /, *given, **named):
        later = Future()
        self.waiting.append((later, partial(task, *given, **named)))
        return later

    def go_on(self):
        waiting, self.waiting = self.waiting, []
        for later, task in waiting:
            _carry_out(later, task)


def _carry_out(future, task):
    try:
        future.set_result(task())
    except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.set_exception(error)


class FakeCloud:
    """A region whose fleets never launch anything; errors to raise are queued by the method's name."""

    def __init__(self, account=""):
        self.account = account
        self.listed_instances = []
        self.listed_fleets = []
        self.zones = {}
        self.spot = {}
        self.offers = {}
        self.times_quoted = 0
        self.asked_zones = {}
        self.key_pairs = {"admin", "other"}
        self.requests = []
        self.documents = []
        self.templates = []
        self.made_unheard = {}  # templates whose answer was lost, by name
        self.deleted = []
        self.cancelled = []
        self.closed = []
        self.terminated = []
        self.retagged = []
        self.clock_ahead = timedelta(0)
        self.errors = {}
        self.loses_answers = 0
        self.trouble = None
        self.refusals = ()
        self.consoles = {}
        self.reasons = {}

    def _may_fail(self, method):
        if self.errors.get(method):
            raise self.errors[method].pop(0)

    def instances(self, pool):
        self._may_fail("instances")
        return list(self.listed_instances)

    def fleets(self, pool):
        return list(self.listed_fleets)

    def open_requests(self, fleets):
        return []

    def resolve_image(self, image):
        return image

    def subnet_zones(self, subnets):
        self.asked_zones |= {subnet: self.zones.get(subnet, f"zone-of-{subnet}") for subnet in subnets}
        return {subnet: self.asked_zones[subnet] for subnet in subnets}

    def need_key_pair(self, name):
        self._may_fail("need_key_pair")
        if name not in self.key_pairs:
            raise Refused(f"there is no key pair {name}")

    def known_zones(self):
        return dict(self.asked_zones)

    def instance_types(self, names):
        return {name: TYPES[name] for name in names if name in TYPES}

    def spot_prices(self, names):
        self.times_quoted += 1
        self._may_fail("spot_prices")
        return {pool: price for pool, price in self.spot.items() if pool[0] in names}

    def offered_zones(self, names):
        return {name: frozenset(self.offers[name]) for name in names if name in self.offers}

    def put_template(self, request, *, existing):
        self._may_fail("put_template")
        self.templates.append((request, existing))
        return TemplateRef("lt-1", len(self.templates))

    def encode(self, request):
        self.requests.append(request)
        return json.dumps(
            {
                "token": request.client_token,
                "target": request.target,
                "version": request.template.version,
                "subnets": [each.subnet for each in request.overrides],
                "tags": dict(request.tags),
            }
        )

    def request(self, document):
        self._may_fail("request")
        self.documents.append(document)
        asked = json.loads(document)
        known = {fleet.client_token: fleet for fleet in self.listed_fleets}
        if asked["token"] not in known:
            made = Fleet(
                f"sfr-{self.account}{len(known)}",
                "active",
                asked["token"],
                asked["target"],
                0.0,
                NOW,
                None,
                asked["tags"],
            )
            self.listed_fleets.append(made)
            known[made.client_token] = made
        if self.loses_answers:
            self.loses_answers -= 1
            raise OutcomeUnknown("no answer")
        return Launched(known[asked["token"]].id)

    def cancel_fleets(self, ids, *, terminate):
        self.cancelled += ids
        self.listed_fleets = [
            replace(fleet, state="cancelled") if fleet.id in ids else fleet for fleet in self.listed_fleets
        ]
        return {}

    def cancel_open_requests(self, ids):
        self.closed += ids

    def terminate(self, ids):
        self._may_fail("terminate")
        self.terminated += ids
        self.listed_instances = [each for each in self.listed_instances if each.id not in ids]
        return {}

    def console(self, instance):
        self._may_fail("console")
        return self.consoles.get(instance, "")

    def state_reasons(self, ids):
        self._may_fail("state_reasons")
        return {each: self.reasons[each] for each in ids if each in self.reasons}

    def retag(self, ids, wanted):
        self._may_fail("retag")
        self.retagged.append((tuple(ids), dict(wanted)))
        self.listed_fleets = [
            replace(each, tags={**each.tags, **wanted}) if each.id in ids else each for each in self.listed_fleets
        ]
        self.listed_instances = [
            replace(each, tags={**each.tags, **wanted}) if each.id in ids else each for each in self.listed_instances
        ]
        return {}

    def ahead(self):
        return self.clock_ahead

    def remains(self, wanted):
        self._may_fail("remains")
        shown = [*self.listed_instances, *self.listed_fleets]
        return [f"{each.id} ({each.state})" for each in shown if wanted.items() <= each.tags.items()]

    def find_template(self, name, wanted):
        return self.made_unheard.get(name)

    def delete_template(self, template):
        self.deleted.append(template)

    def fleet_trouble(self, fleet, since):
        return Trouble(self.trouble, self.refusals) if self.trouble else None


class FakeProber:
    """Nothing of ours to ask, unless it is told what it answers."""

    def __init__(self):
        self.answers = None
        self.error = None
        self.times_asked = 0

    def ask(self):
        self.times_asked += 1
        if self.error:
            raise self.error
        return self.answers


class FakePriceList:
    """AWS's list; empty unless it is filled."""

    def __init__(self):
        self.hours = {}
        self.asked = []
        self.errors = []

    def on_demand(self, names):
        self.asked.append(list(names))
        if self.errors:
            raise self.errors.pop(0)
        return {name: self.hours[name] for name in names if name in self.hours}


class FakeSigns:
    """A reaper at work, and no freeze, unless it is told otherwise."""

    def __init__(self):
        self.heartbeat_age = timedelta(0)
        self.given = {}
        self.error = None
        self.times_read = 0

    def read(self, now):
        self.times_read += 1
        if self.error:
            raise self.error
        return Signs(**{"heartbeat": now - self.heartbeat_age, **self.given})


class FakeStore:
    def __init__(self):
        self.objects = {}
        self.tags = {}
        self.error = None
        self.tries = 0

    def put(self, key, content, tags):
        self.tries += 1
        if self.error:
            raise self.error
        self.objects[key] = content
        self.tags[key] = tags

    def url(self, key, *, expires_in):
        return f"https://bucket.example/{key}?for={expires_in}"

    def delete(self, key):
        self.objects.pop(key, None)


class FakeQueue:
    def __init__(self):
        self.groups = []
        self.jobs = {}
        self.said = []
        self.evicted = []
        self.error = None
        self.jobs_error = None

    def demand(self, now):
        if self.error:
            raise self.error
        return list(self.groups)

    def evictions(self, since):
        return [each for each in self.evicted if each.at >= since]

    def counts(self):
        if self.jobs_error:
            raise self.jobs_error
        return dict(self.jobs)

    def say(self, key, sentence):
        self.said.append((key, sentence))


class FakeSlots:
    def __init__(self):
        self.advertised = []
        self.error = None

    def slots(self):
        if self.error:
            raise self.error
        return list(self.advertised)


class FakeTokens:
    def __init__(self):
        self.issued = []

    def issue(self, identity, lifetime_s):
        self.issued.append((identity, lifetime_s))
        return f"token of {identity}"


def key_desk(ring=None, routes=(), wake=lambda: None, clock=lambda: NOW):
    """Without routes it asks nobody for keys."""
    named = {route.name: route for route in routes}
    files = ("~/.condor/publicKeyFile", "~/.condor/privateKeyFile")
    return KeyDesk(ring or KeyRing(), files, lambda: named, clock=clock, wake=wake)
