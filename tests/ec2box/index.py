"""A package index of a folder of wheels, in the JSON form that pip and uv read (PEP 691)."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ec2box.web import serve

PORT = 3141


def serve_index(folder: Path, address: str, port: int = PORT) -> None:
    """Listen; the index is at ``/simple/``."""
    handler = type("Handler", (_Handler,), {"folder": folder})
    serve(address, port, handler)


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = [part for part in self.path.partition("?")[0].split("/") if part]
        if parts[:1] == ["simple"] and len(parts) == 2:
            self._project(parts[1])
        elif parts[:1] == ["files"] and len(parts) == 2 and (self.folder / parts[1]).is_file():
            self._send(200, (self.folder / parts[1]).read_bytes(), "application/octet-stream")
        else:
            self._send(404, b"", "text/plain")

    def _project(self, name: str) -> None:
        files = [
            {"filename": path.name, "url": f"/files/{path.name}", "hashes": {"sha256": _hash(path)}}
            for path in sorted(self.folder.iterdir())
            if path.suffix == ".whl" and _normal(path.name.partition("-")[0]) == _normal(name)
        ]
        page = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
        status = 200 if files else 404
        self._send(status, json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_args: Any) -> None:
        pass


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
