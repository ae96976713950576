"""BackgroundServer: a server of the standard library that serves while a context lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Thread
from typing import Self


class BackgroundServer(BaseServer):
    """To be mixed into a threading server."""

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve from a thread of its own as long as the context lasts."""
        thread = Thread(target=self.serve_forever, args=[0.05])
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()
