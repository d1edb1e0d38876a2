"""Package indexes as they are: in an older form, behind a password, moved to another host."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_cluster.nodes.remote import get_uv, install

pytestmark = pytest.mark.unit

SECRET = "s3cret%40word"
WHEEL = f"uv-0.9.1-py3-none-manylinux_2_17_{platform.machine()}.whl"


def wheel() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("uv-0.9.1.data/scripts/uv", "#!/bin/sh\necho uv\n")
    return data.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    """One with a password, that knows HTML only; files lie on a host that must not get that."""

    files = ""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(b"me:s3cret@word").decode()
        if self.path.startswith("/simple/") and self.headers["Authorization"] != wanted:
            self.send_error(401)
            return
        if self.path.startswith("/files/") and self.headers["Authorization"]:
            self.send_error(400)
            return
        digest = hashlib.sha256(wheel()).hexdigest()
        link = f'<a href="{self.files}/files/{WHEEL}#sha256={digest}">{WHEEL}</a>'
        body = wheel() if self.path.startswith("/files/") else link.encode()
        self.send_response(200)
        kind = "application/octet-stream" if self.path.startswith("/files/") else "text/html"
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Index.files = f"http://localhost:{server.server_port}"
        yield f"127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


def run(target: Path, address: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UV_DEFAULT_INDEX": address, "HOME": str(target.parent)}
    words = [sys.executable, get_uv.__file__, str(target)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)


def test_uv_comes_from_an_index_with_a_password_and_html(index: str, tmp_path: Path) -> None:
    done = run(tmp_path / "bin" / "uv", f"http://me:{SECRET}@{index}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.access(tmp_path / "bin" / "uv", os.X_OK)


def test_uv_comes_with_the_password_of_a_netrc(index: str, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cret@word\n")
    (tmp_path / ".netrc").chmod(0o600)
    (tmp_path / "bin").mkdir()
    environment = {**os.environ, "PIP_INDEX_URL": f"http://{index}", "HOME": str(tmp_path)}
    environment.pop("UV_DEFAULT_INDEX", None)
    words = [sys.executable, get_uv.__file__, str(tmp_path / "bin" / "uv")]
    subprocess.run(words, env=environment, check=True)
    assert os.access(tmp_path / "bin" / "uv", os.X_OK)


def test_a_password_is_never_printed(index: str, tmp_path: Path) -> None:
    done = run(tmp_path / "uv", f"http://me:wr0ng@{index}")
    assert done.returncode == 1
    assert done.stderr.strip() == f"http://{index}uv/ cannot be fetched: 401 Unauthorized"
    done = run(tmp_path / "uv", "http://me:wr0ng@127.0.0.1:1/simple")
    assert "127.0.0.1:1/simple/uv/ cannot be fetched" in done.stderr
    assert "wr0ng" not in done.stderr
    said = "error: https://me:wr0ng@host/simple/x/ and https://host/me@x"
    assert install.without_passwords(said) == "error: https://host/simple/x/ and https://host/me@x"


def test_uv_is_told_what_pip_is() -> None:
    told = install.as_pip_is_told({"PIP_INDEX_URL": "http://a", "PIP_EXTRA_INDEX_URL": ""})
    assert told == {"UV_DEFAULT_INDEX": "http://a"}
