"""The whole stage: the local cloud, and a pool whose access point rents from it."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rehearsal.control import CloudControl
from rehearsal.image import Images
from rehearsal.machines import local_cloud
from rehearsal.pool import Pool


@dataclass(frozen=True)
class Stage:
    pool: Pool
    cloud: CloudControl


@contextlib.contextmanager
def stage(images: Images, *cloud_options: str) -> Iterator[Stage]:
    """
    Both running and ready; gone at the end. For the inside of the sandbox.

    Args:
        cloud_options: Of `python -m rehearsal.cloud`.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        mount_point = Path(folder) / "root"
        mount_point.mkdir()
        with local_cloud(images, mount_point, *cloud_options) as url, Pool(images, mount_point) as pool:
            yield Stage(pool, CloudControl(url))
