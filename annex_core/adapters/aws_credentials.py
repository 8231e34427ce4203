"""Whose credentials sign a call: each source alone, so that none stands in for another in silence."""

from __future__ import annotations

import threading
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
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

from annex_core.errors import AnnexError
from annex_core.model.keys import Keys


class Source(Protocol):
    """Opens nothing and asks nobody before the first call is signed."""

    def session(self) -> botocore.session.Session: ...


@dataclass(frozen=True)
class Chain:
    """Whatever boto3 finds: environment, files, SSO, the instance's role; its files are read again when they change."""

    profile: str | None = None
    """Of AWS's own configuration, to begin with."""

    def session(self) -> botocore.session.Session:
        core = botocore.session.Session(profile=self.profile)
        return _alone(_Reading("chain", _ChainReader(self.profile)), core)


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


def _alone(credentials: Credentials, core: botocore.session.Session | None = None) -> botocore.session.Session:
    core = core or botocore.session.Session()
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


_Version = tuple[int, int, int]


def _version(path: str) -> _Version:
    """
    Of a file's content.

    Raises:
        OSError: It can't be looked at.
    """
    status = Path(path).expanduser().stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


class _ChainReader:
    """
    What boto3's chain finds, found anew when one of AWS's files has changed; what refreshes itself does so between.

    Raises:
        NoCredentialsError: When read, where it finds nothing.
        BotoCoreError: A file can't be read, or the profile isn't in it any more.
    """

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        core = botocore.session.Session(profile=profile)
        self._files = [core.get_config_variable(each) for each in ("credentials_file", "config_file")]
        self._one_at_a_time = threading.Lock()
        self._found: tuple[list[_Version | None], Credentials] | None = None

    def __call__(self) -> ReadOnlyCredentials:
        with self._one_at_a_time:
            versions = [_stands(path) for path in self._files]
            if self._found is None or self._found[0] != versions:
                found = botocore.session.Session(profile=self._profile).get_credentials()
                if found is None:
                    raise NoCredentialsError
                self._found = versions, found
            return self._found[1].get_frozen_credentials()


def _stands(path: str) -> _Version | None:
    """None where there is none."""
    try:
        return _version(path)
    except OSError:
        return None


class _FileReader:
    """
    Sites renew short-lived credentials in the file while the daemon runs.

    Raises:
        CredentialRetrievalError: When read, where the file can't be or has no profile `default`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[_Version, ReadOnlyCredentials] | None = None

    def __call__(self) -> ReadOnlyCredentials:
        method = "shared-credentials-file"
        try:
            version = _version(self._path)
        except OSError as error:
            raise CredentialRetrievalError(provider=method, error_msg=str(error)) from error
        if self._read is None or self._read[0] != version:
            found = SharedCredentialProvider(self._path, profile_name="default").load()
            if found is None:
                raise CredentialRetrievalError(
                    provider=method, error_msg=f"{self._path} can't be read or has no profile `default`"
                )
            self._read = version, found.get_frozen_credentials()
        return self._read[1]
