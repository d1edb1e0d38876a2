"""The head's JSON over HTTPS, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.tunnel import address_of
from jupyter_cluster.errors import ClusterError, ConnectionLostError, JobError
from jupyter_cluster.trust import Role, client_context, require_role

TIMEOUT_SECONDS = 40.0  # longer than the head lets a caller wait for news


class Endpoint:
    """Asks the head of one cluster.

    Every method raises `ConnectionLostError` where the head does not answer, `JobError` where
    there is no such job, and `ClusterError` with the head's sentence where it refuses.
    """

    def __init__(self, entry: Entry, timeout: float = TIMEOUT_SECONDS) -> None:
        self._entry = entry
        self._timeout = timeout
        self._context = client_context(entry.credentials, Role.CLIENT)

    def get(self, path: str, **query: Any) -> Any:
        """What is at ``/v1/<path>``."""
        asked = urlencode({key: value for key, value in query.items() if value is not None})
        return self._ask("GET", path + (f"?{asked}" if asked else ""))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Have something done."""
        return self._ask("POST", path, body or {})

    def delete(self, path: str) -> Any:
        """Delete what is there."""
        return self._ask("DELETE", path)

    def job(self, name: str, *more: str) -> str:
        """The path of a job."""
        return "/".join(["jobs", quote(name, safe=""), *more])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        address = address_of(self._entry, "endpoint")
        if not address:
            raise ConnectionLostError(f"cluster {self._entry.name!r} has no head yet")
        where = urlsplit(address)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=self._context, timeout=self._timeout
        )
        try:
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket):
                require_role(connection.sock.getpeercert(), Role.HEAD)
            connection.request(method, f"/v1/{path}", json.dumps(body) if body else None)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionLostError(
                f"the head of cluster {self._entry.name!r} does not answer: {error}"
            ) from error
        finally:
            connection.close()
        if answer.status == 404 and "job" in content.get("error", ""):
            raise JobError(content["error"])
        if answer.status >= 400:
            raise ClusterError(content["error"])
        return content
