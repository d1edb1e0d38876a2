"""On a host: give packs of files to other nodes of the cluster, over mutual TLS.

    python3 share.py STORE CREDENTIALS

Prints the port, and goes on in the background until the store is gone. Once for a store.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# How long a caller may take to show its certificate, and how many may be at that at once; of more,
# the one that has waited longest goes. Afterwards, how long it may take nothing of what it is sent.
HANDSHAKE_SECONDS, MOST_WAITING = 20.0, 64
IDLE_SECONDS = 60.0


class Handler(BaseHTTPRequestHandler):
    """Answers with a pack of the store."""

    store = ""

    def do_GET(self) -> None:
        """``/<digest>``."""
        path = os.path.join(self.store, os.path.basename(self.path) + ".tar")
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed below
        except OSError:
            self.send_error(404)
            return
        with file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def log_message(self, *_args: Any) -> None:
        """Nobody reads it."""


def context(credentials: str, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Mutual TLS among the nodes of the cluster; no other authority counts."""
    made = ssl.create_default_context(purpose, cafile=os.path.join(credentials, "ca.pem"))
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(
        os.path.join(credentials, "agent.pem"), os.path.join(credentials, "agent.key")
    )
    return made


class Server(ThreadingHTTPServer):
    """Its handshakes are made on the threads of their connections."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type, tls: ssl.SSLContext, lock: str = ""
    ) -> None:
        super().__init__(address, handler)
        self.tls, self.file = tls, lock
        self._waiting: dict[Any, None] = {}
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A caller has come."""
        with self._lock:
            self._waiting[request] = None
            if len(self._waiting) > MOST_WAITING:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                _cut_off(oldest)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, then answer."""
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            wrapped = self.tls.wrap_socket(request, server_side=True)
        finally:
            with self._lock:
                self._waiting.pop(request, None)
        with wrapped:
            wrapped.settimeout(IDLE_SECONDS)
            super().finish_request(wrapped, client_address)

    def service_actions(self) -> None:
        """Called twice a second: with the cluster's folder, this ends."""
        if self.file and not os.path.exists(self.file):
            os._exit(0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who is refused or hangs up is no reason to say anything."""


def _cut_off(request: Any) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)  # its thread then notices
    except OSError:
        pass


def main(store: str, credentials: str) -> None:
    """See the module."""
    port_file, lock_file = os.path.join(store, "share.port"), os.path.join(store, "share.lock")
    lock = open(lock_file, "w")  # noqa: SIM115 - held to the end
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with open(port_file) as file:
            print(file.read())
        return
    Handler.store = store
    server = Server(("", 0), Handler, context(credentials, ssl.Purpose.CLIENT_AUTH), lock_file)
    with open(port_file + ".part", "w") as file:
        file.write(str(server.server_port))
    os.replace(port_file + ".part", port_file)
    print(server.server_port)
    sys.stdout.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
