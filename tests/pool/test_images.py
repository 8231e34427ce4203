"""Images that are not made for us: one with neither HTCondor nor curl."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rehearsal.image import MIRROR, Images
from tests.pool.boot_site import Site, standing


@pytest.fixture(scope="module")
def site(images: Images, mount_point: Path, cloud: str) -> Iterator[Site]:
    with standing(images, mount_point, cloud) as site:
        yield site


class _Mirror(http.server.SimpleHTTPRequestHandler):
    """Serves its directory where MIRROR says."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(urlsplit(MIRROR).path))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(images: Images) -> Iterator[None]:
    address = urlsplit(MIRROR)
    assert address.hostname
    assert address.port

    def handler(*arguments: object) -> _Mirror:
        return _Mirror(*arguments, directory=images.mirror)  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer((address.hostname, address.port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("mirror")
def test_a_plain_debian_becomes_an_execution_point_by_user_data_alone(site: Site, images: Images) -> None:
    assert not any(os.path.lexists(f"{images.bare}/usr/{name}") for name in ("sbin/condor_master", "bin/curl"))
    instance = site.launch("plain", image="bare", idle=10)
    said = site.run("id -un; tr a-z A-Z < in > made", "plain")
    assert (said["out"], said["made"]) == ("nobody\n", "TEXT\n")
    console = site.wait_for_end(instance)
    assert "HTCondor is installed, in " in console
    assert "condor_master has ended (status 0)" in console
