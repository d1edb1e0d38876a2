"""The page without a Jupyter server: on this machine only, for who has the token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable

from tornado.web import Application, HTTPError, RequestHandler

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.doors import Door, OpenServer
from jupyter_cluster.errors import UsageError
from jupyter_cluster.server.handlers import routes
from jupyter_cluster.trust import write_private

HOST = "127.0.0.1"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Guarded(RequestHandler):  # type: ignore[misc]
    """Lets in who shows the token, in the address once and in a cookie from then on."""

    def set_default_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        port, token = self.settings["port"], self.settings["token"]
        # Another name for this machine is somebody else's page that has been led here.
        if self.request.host not in (f"{HOST}:{port}", f"localhost:{port}"):
            raise HTTPError(403)
        cookie = f"jupyter-cluster-{port}"
        if _same(self.get_query_argument("token", ""), token):
            self.set_cookie(cookie, token, httponly=True, samesite="Strict")
            self.redirect(self.request.path)
        elif not _same(self.get_cookie(cookie, ""), token):
            raise HTTPError(403, reason="open the address that dashboard has shown")
        self.settings["door"].leave(self.request.connection.stream)

    def get_current_user(self) -> str:
        return "owner"  # others do not get past `prepare`


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def serve(place: Entry, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """Serve the page of a cluster until Ctrl-C.

    Parameters
    ----------
    port
        On this machine; 0 for any that is free.
    browser
        Whether to open it.
    say
        Takes the address.

    Raises
    ------
    UsageError
        The port is in use.
    """
    try:
        listener = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"--port {port}: {why}; name another one") from error
    listener.setblocking(False)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(32)
    address = f"http://{HOST}:{port}/{place.name}/?token={token}"
    say(f"{address}\nis the page of cluster {place.name!r} on this machine, until Ctrl-C.")
    if browser:
        _open(place, address)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(listener, port, token))


async def _serve(listener: socket.socket, port: int, token: str) -> None:
    door = Door("the page")
    application = Application(
        routes(_Guarded, "/"),
        port=port,
        token=token,
        door=door,
        log_function=lambda _handler: None,
    )
    server = OpenServer(application, door=door)
    server.add_socket(listener)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()


def _open(place: Entry, address: str) -> None:
    """By way of a file that only its owner can read: all may see what a browser is started with."""
    path = place.folder / "dashboard.html"
    write_private(path, f'<meta http-equiv="refresh" content="0; url={address}">'.encode())
    with contextlib.suppress(webbrowser.Error):
        opened = webbrowser.get()
        threading.Thread(target=opened.open, args=(path.as_uri(),), daemon=True).start()
