"""The head's JSON over HTTPS, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jupyter_cluster.client.connection_pool import Key, pool
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.tunnel import address_of, why_closed
from jupyter_cluster.errors import ClusterError, ConnectionLostError, JobError
from jupyter_cluster.trust import Role, client_context, require_role

TIMEOUT_SECONDS = 40.0  # longer than the head lets a caller wait for news


class Endpoint:
    """Asks the head of one cluster, from any thread; a question takes over where one has ended.

    Every method raises `ConnectionLostError` where the head does not answer, `JobError` where
    there is no such job, and `ClusterError` with the head's sentence where it refuses.
    """

    def __init__(self, entry: Entry, timeout: float = TIMEOUT_SECONDS) -> None:
        self._entry = entry
        self._timeout = timeout
        self._created = entry.created  # another one of its name has other certificates
        try:
            self._context = client_context(entry.credentials, Role.CLIENT)
        except OSError as error:  # an SSLError is one
            raise ConnectionLostError(entry.damage("credentials")) from error

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
        try:
            status, content = self._exchange(method, path, json.dumps(body) if body else None)
        except ssl.SSLCertVerificationError as error:
            name = self._entry.name
            raise ConnectionLostError(
                f"cluster {name!r} has ended, and another one of that name has taken its place:"
                f" `connect({name!r})` takes that"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = why_closed(self._entry) or error
            raise ConnectionLostError(
                f"the head of cluster {self._entry.name!r} does not answer: {why}"
            ) from error
        if status < 400:
            return content
        reason = content.get("error") if isinstance(content, dict) else None
        if status == http.client.SERVICE_UNAVAILABLE:
            raise ConnectionLostError(f"the head of cluster {self._entry.name!r} is ending")
        if status == 404 and "job" in str(reason):
            raise JobError(str(reason))
        raise ClusterError(str(reason or f"the head refuses {path} ({status})"))

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, Any]:
        """One question and its answer.

        Raises
        ------
        OSError, http.client.HTTPException, ValueError
            There was none, or not JSON.
        """
        address = address_of(self._entry, "endpoint")
        if not address:
            raise ConnectionLostError(f"cluster {self._entry.name!r} has no head yet")
        if method == "GET" and (kept := pool.take(self._key(address))) is not None:
            try:
                kept.sock.settimeout(self._timeout)
                return self._request(kept, address, method, path, body)
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                pass  # the head has closed it meanwhile, or was started anew: ask on a new one
        return self._request(self._connected(address), address, method, path, body)

    def _request(
        self,
        connection: http.client.HTTPSConnection,
        address: str,
        method: str,
        path: str,
        body: str | None,
    ) -> tuple[int, Any]:
        try:
            connection.request(method, f"/v1/{path}", body)
            with connection.getresponse() as answer:
                data = answer.read()
        except BaseException:  # Ctrl-C too: the rest of the answer may still come
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            pool.keep(self._key(address), connection)
        return answer.status, json.loads(data)

    def _connected(self, address: str) -> http.client.HTTPSConnection:
        where = urlsplit(address)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=self._context, timeout=self._timeout
        )
        try:
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket):
                require_role(connection.sock.getpeercert(), Role.HEAD)
        except BaseException:
            connection.close()
            raise
        return connection

    def _key(self, address: str) -> Key:
        return str(self._entry.credentials), self._created, address
