"""Whose credentials sign a call: each source alone, so that none stands in for another in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import botocore.session
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    ReadOnlyCredentials,
    SharedCredentialProvider,
    create_credential_resolver,
)
from botocore.exceptions import CredentialRetrievalError

from annex_core.errors import AnnexError
from annex_core.model.keys import Keys


class Source(Protocol):
    """Opens nothing and asks nobody before the first call is signed."""

    def session(self) -> botocore.session.Session: ...


@dataclass(frozen=True)
class Chain:
    """Whatever boto3 finds: environment, files, SSO, the instance's role."""

    profile: str | None = None
    """Of AWS's own configuration, to begin with."""

    def session(self) -> botocore.session.Session:
        return botocore.session.Session(profile=self.profile)


@dataclass(frozen=True)
class SharedFile:
    """An AWS shared credentials file, its profile `default`; read again when it changes."""

    path: str

    def session(self) -> botocore.session.Session:
        return _alone(_Reading("shared-credentials-file", _FileReader(self.path)))


@dataclass(frozen=True)
class InstanceRole:
    """The role of the instance that this runs on, and neither environment nor files."""

    def session(self) -> botocore.session.Session:
        core = botocore.session.Session()
        provider = create_credential_resolver(core).get_provider("iam-role")
        core.register_component("credential_provider", CredentialResolver([provider]))
        return core


@dataclass(frozen=True)
class Held:
    """Keys in memory, asked for whenever a call is signed."""

    keys: Callable[[], Keys]
    """Raises an AnnexError where there are none now."""

    def session(self) -> botocore.session.Session:
        return _alone(_Reading("held", self._read))

    def _read(self) -> ReadOnlyCredentials:
        try:
            keys = self.keys()
        except AnnexError as error:
            raise CredentialRetrievalError(provider="held", error_msg=str(error)) from error
        return ReadOnlyCredentials(keys.access, keys.secret, None)


def source(named: str, file: Path | None) -> Source:
    """
    What AnnexCredentials names, such as `site`, `instance-role` or `profile physics`.

    Args:
        file: ANNEXD_CREDENTIALS, the site's own; None: what AWS's chain finds.
    """
    kind, *name = named.split()
    if kind == "profile":
        return Chain(" ".join(name))
    if kind == "instance-role":
        return InstanceRole()
    return SharedFile(str(file)) if file else Chain()


def _alone(credentials: Credentials) -> botocore.session.Session:
    core = botocore.session.Session()
    core.register_component("credential_provider", CredentialResolver([_Only(credentials)]))
    return core


class _Only(CredentialProvider):
    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials
        self.METHOD = credentials.method

    def load(self) -> Credentials:
        return self._credentials


class _Reading(Credentials):
    """Credentials that are read when a call is signed: they may change while the daemon runs."""

    def __init__(self, method: str, read: Callable[[], ReadOnlyCredentials]) -> None:
        super().__init__("", "", method=method)
        self._read = read

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self._read()


class _FileReader:
    """
    Sites renew short-lived credentials in the file while the daemon runs.

    Raises:
        CredentialRetrievalError: When read, where the file can't be or has no profile `default`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], ReadOnlyCredentials] | None = None

    def __call__(self) -> ReadOnlyCredentials:
        method = "shared-credentials-file"
        try:
            status = Path(self._path).stat()
        except OSError as error:
            raise CredentialRetrievalError(provider=method, error_msg=str(error)) from error
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._read is None or self._read[0] != version:
            found = SharedCredentialProvider(self._path, profile_name="default").load()
            if found is None:
                raise CredentialRetrievalError(
                    provider=method, error_msg=f"{self._path} can't be read or has no profile `default`"
                )
            self._read = version, found.get_frozen_credentials()
        return self._read[1]
