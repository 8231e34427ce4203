"""
A pool and a local cloud for the whole session, in the sandbox.

Tests use names of their own for their annexes, so that none depends on another's leftovers.
"""

import subprocess
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rehearsal.cache import Cache
from rehearsal.control import CloudControl
from rehearsal.image import Images
from rehearsal.machines import local_cloud
from rehearsal.pool import Pool
from tests.pool.annexes import Annexes


@pytest.fixture(scope="session")
def images() -> Images:
    images = Images.from_environment()
    if not images:
        pytest.skip("needs hosts: run it by `make test`, or `python -m rehearsal test`")
    return images


@pytest.fixture(scope="session")
def mount_point(images: Images) -> Path:
    return Cache.of_user().mount_point


@pytest.fixture(scope="session")
def cloud(images: Images, mount_point: Path) -> Iterator[str]:
    """The URL of a local cloud that boots instances as hosts."""
    with local_cloud(images, mount_point) as url:
        yield url


@pytest.fixture(scope="session")
def control(cloud: str) -> CloudControl:
    """The local cloud's own knobs and what it has seen."""
    return CloudControl(cloud)


@pytest.fixture(scope="session")
def pool(images: Images, mount_point: Path, cloud: str) -> Iterator[Pool]:
    """A running pool, whose access point reaches the local cloud."""
    with Pool(images, mount_point) as pool:
        yield pool


@pytest.fixture
def annexes(pool: Pool, control: CloudControl) -> Iterator[Annexes]:
    """For a test in which much goes wrong; afterwards nothing does, and no job, machine or route of it is left."""
    settings = control.settings()
    annexes = Annexes(pool, control)
    yield annexes
    control.heal()
    control.settings(**settings)
    annexes.end_all()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test of the pool shows what the access point has logged."""
    report = yield
    pool = item.funcargs.get("pool")
    if report.failed and isinstance(pool, Pool):
        with suppress(subprocess.CalledProcessError):  # it is gone by then
            report.sections.extend(pool.logs().items())
    return report
