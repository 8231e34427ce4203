"""An HTTP server in a thread of its own."""

import logging
from threading import Thread
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

log = logging.getLogger(__name__)


class _Handler(MotoRequestHandler):
    """Says nothing of each request: the cloud's own log does."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        if type == "error":
            log.error(message, *args)


class Server:
    def __init__(self, address: str, port: int, app: Any) -> None:
        """
        Serve from now on; port 0 is any free one.

        Raises:
            OSError: The address or port can't be had.
        """
        self._server = make_server(address, port, app, threaded=True, request_handler=_Handler)
        self.address, self.port = str(address), int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.address}" + ("" if self.port == 80 else f":{self.port}")

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
