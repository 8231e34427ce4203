"""A local cloud, whole: start it, point an AWS SDK at its endpoint, stop it."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any, Self

from flask import Flask
from moto.awslambda.models import lambda_backends
from moto.cloudformation.models import cloudformation_backends
from moto.core.utils import convert_to_flask_response
from moto.ec2.models import ec2_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from moto.servicequotas.models import servicequotas_backends
from moto.ssm.models import ssm_backends
from werkzeug.wrappers import Request

from rehearsal.cloud.api import LocalEC2Response
from rehearsal.cloud.calls import CallLog
from rehearsal.cloud.control import Control
from rehearsal.cloud.ec2 import LocalEC2Backend, image_of
from rehearsal.cloud.launcher import Launcher
from rehearsal.cloud.life import Life, Lives
from rehearsal.cloud.metadata import Metadata
from rehearsal.cloud.quotas import LocalQuotas
from rehearsal.cloud.roles import create_service_linked_roles, load_policy_of_fleet_roles
from rehearsal.cloud.serving import Server
from rehearsal.cloud.settings import Settings
from rehearsal.cloud.stacks import LocalStacks, LocalStacksResponse
from rehearsal.cloud.wire import Wire
from rehearsal.cloud.world import World

log = logging.getLogger(__name__)

ACCOUNT = "123456789012"
BUCKET = "condor-annex-rehearsal"
IMAGE_PARAMETER = "/condor-annex/rehearsal/image"
FLEET_ROLE = "aws-ec2-spot-fleet-tagging-role"
_TICK_S = 0.1
_BACKENDS: tuple[Any, ...] = (
    cloudformation_backends,
    ec2_backends,
    events_backends,
    iam_backends,
    kms_backends,
    lambda_backends,
    logs_backends,
    s3_backends,
    servicequotas_backends,
    ssm_backends,
)
_OURS = {"ec2": LocalEC2Response, "cloudformation": LocalStacksResponse}


class LocalCloud:
    """
    One AWS account behind one HTTP endpoint.

    Two in one process at a time must be of different accounts and buckets: moto's records are the process's.
    """

    def __init__(
        self,
        *,
        bind: tuple[str, int] = ("127.0.0.1", 0),
        metadata: tuple[str, int] | None = None,
        launcher: Launcher | None = None,
        settings: Settings | None = None,
        account: str = ACCOUNT,
        bucket: str = BUCKET,
        seed: int = 0,
        used: bool = False,
    ) -> None:
        """
        Args:
            bind: Where AWS's API and the control API are served; port 0 is any free one.
            metadata: Where instance metadata is served. On a loopback address every instance gets an address of its
                own in 127.0.0.0/8, with this port; elsewhere one server knows instances by the peer's address. None:
                not at all.
            launcher: Who boots machines; None: instances are records only.
            used: The account has asked for Spot capacity before, and has AWS's service-linked roles since.
        """
        self.world = World(account, seed, settings or Settings())
        self.bucket = bucket
        self._used = used
        self._stopping = Event()
        self._regions: dict[str, LocalEC2Backend] = {}
        self._metadata_at = metadata
        self._metadata = Metadata(self.world, self._who_asks)
        self._metadata_servers: dict[str, Server] = {}
        self.lives = Lives(self.world, launcher, self._metadata_url)
        self.calls = CallLog()
        control = Control(self.world, self.calls, self.lives, about=self._about(), tick=self.tick)
        self._wire = Wire(
            self.world,
            DomainDispatcherApplication(_app_of),
            calls=self.calls,
            control=control,
            prepare=self._prepare,
            stopping=self._stopping,
        )
        self._bind = bind
        self._server: Server | None = None
        self._ticker = Thread(target=self._run, name="cloud", daemon=True)

    def _about(self) -> dict[str, str]:
        return {
            "account": self.world.account,
            "bucket": self.bucket,
            "fleet_role": f"arn:aws:iam::{self.world.account}:role/{FLEET_ROLE}",
            "image_parameter": IMAGE_PARAMETER,
        }

    @property
    def url(self) -> str:
        """The endpoint; only while it runs."""
        if self._server is None:
            raise RuntimeError("the cloud is not running")
        return self._server.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """
        Raises:
            OSError: An address or port can't be had.
        """
        self._forget()
        with self.world.lock:
            s3_backends[self.world.account]["aws"].create_bucket(self.bucket, "us-east-1")
            self._create_fleet_role()
        with ExitStack() as undo:
            if self._metadata_at and not self._own_addresses:
                self._metadata_servers[""] = Server(*self._metadata_at, self._metadata)
                undo.callback(self._metadata_servers[""].stop)
            self._server = Server(*self._bind, self._wire)
            undo.pop_all()
        self._ticker.start()

    def stop(self) -> None:
        """Every machine is killed; nothing of the cloud is left."""
        self._stopping.set()
        if self._server:
            self._server.stop()
        self._ticker.join()
        self.lives.close()
        for server in self._metadata_servers.values():
            server.stop()
        self._forget()

    def tick(self) -> None:
        """Do whatever is due; runs every 0.1 s by itself."""
        with self.world.lock:
            for region in list(self._regions.values()):
                region.spot.tick()
            self.lives.tick()
            closing = self._unneeded_metadata()
        for server in closing:
            server.stop()

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            try:
                self.tick()
            except Exception:
                log.exception("a tick of the cloud failed")

    # What an account holds before anyone called

    def _forget(self) -> None:
        """Whatever moto still keeps for this account from before."""
        with self.world.lock:
            for backends in _BACKENDS:
                backends.pop(self.world.account, None)
            for bucket, owner in list(s3_backends.bucket_accounts.items()):
                if owner[-1] == self.world.account or bucket == self.bucket:
                    del s3_backends.bucket_accounts[bucket]
            self._regions.clear()

    def _create_fleet_role(self) -> None:
        iam = iam_backends[self.world.account]["aws"]
        iam.create_role(FLEET_ROLE, "{}", "/", None, "", [], "3600")
        load_policy_of_fleet_roles(iam, self.world.account)
        if self._used:
            create_service_linked_roles(iam)

    def _prepare(self, region: str) -> None:
        """Called before every call: a region begins to exist with the first."""
        if region in self._regions:
            return
        backend = LocalEC2Backend(region, self.world.account, self.world, self.lives)
        ec2_backends[self.world.account][region] = self._regions[region] = backend
        stacks = LocalStacks(region, self.world.account, self.world)
        cloudformation_backends[self.world.account][region] = stacks
        servicequotas_backends[self.world.account][region] = LocalQuotas(region, self.world.account, self.world)
        ssm_backends[self.world.account][region].put_parameter(
            name=IMAGE_PARAMETER,
            description="",
            value=image_of(region),
            parameter_type="String",
            allowed_pattern="",
            keyid="",
            overwrite=False,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )

    # Instance metadata

    @property
    def _own_addresses(self) -> bool:
        return self._metadata_at is not None and self._metadata_at[0].startswith("127.")

    def _metadata_url(self, life: Life) -> str:
        if self._metadata_at is None:
            return ""
        if not self._own_addresses:
            return self._metadata_servers[""].url
        address = "127." + str(life.instance.private_ip).partition(".")[2]
        server = Server(address, self._metadata_at[1], Metadata(self.world, lambda _: None if life.over else life))
        self._metadata_servers[life.instance.id] = server
        return server.url

    def _unneeded_metadata(self) -> list[Server]:
        """The servers of instances that are over."""
        over = [name for name in self._metadata_servers if (life := self.lives.get(name)) and life.over]
        return [self._metadata_servers.pop(name) for name in over]

    def _who_asks(self, request: Request) -> Life | None:
        return self.lives.at_address(request.remote_addr or "")


def _app_of(service: Any) -> Flask:
    """moto's application for a service, with our EC2 and our CloudFormation in place of its own."""
    app = create_backend_app(service)
    if ours := _OURS.get(service):
        dispatch: Callable[..., Any] = convert_to_flask_response(ours.dispatch)
        app.view_functions = dict.fromkeys(app.view_functions, dispatch)
    return app
