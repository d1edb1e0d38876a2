"""A registry of one container image, which hosts pull as if it were Docker Hub.

The image stands in for the one that a cluster file names. Source of the interface: the OCI
Distribution Specification, of which only pulling is answered.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ec2box.image import SUITE, cache
from ec2box.web import serve

PORT = 5001
NAME, TAG = "rayproject/ray", "latest-cpu"
# What an image for Python work has, and nothing of ours.
_PACKAGES = ("ca-certificates", "procps", "python3")
# As the real one: its programs run as ray, whose number is that of the first user of many hosts.
_USER = "ray:x:1000:100::/home/ray:/bin/bash\n"
_SETTINGS = {
    "Cmd": ["sh"],
    "User": "1000",
    "WorkingDir": "/home/ray",
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/home/ray"],
}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def container_layer() -> Path:
    """The image's first layer, made now where there is none."""
    words = f"1 {SUITE} {' '.join(_PACKAGES)}"
    path = cache() / f"container-{hashlib.sha256(words.encode()).hexdigest()[:16]}.tar.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "layer.tar"
            include = f"--include={','.join(_PACKAGES)}"
            words = ["mmdebstrap", "--quiet", "--variant=minbase", include, SUITE, str(plain)]
            subprocess.run(words, check=True)
            partial = path.with_suffix(".part")
            with plain.open("rb") as source, gzip.open(partial, "wb", compresslevel=1) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            partial.rename(path)
    return path


def serve_registry(address: str, layer: Path) -> None:
    """Listen; only hosts that pull ask for anything."""
    blobs, manifest = _image(layer)
    handler = type("Handler", (_Handler,), {"blobs": blobs, "manifest": manifest})
    serve(address, PORT, handler)


def _image(layer: Path) -> tuple[dict[str, Any], bytes]:
    """Blobs by digest (bytes, or a path), and the manifest that names them."""
    top = _user_layer()
    layers = [layer.read_bytes(), gzip.compress(top)]
    packed = [hashlib.sha256(one).hexdigest() for one in layers]
    with gzip.open(layer) as file:
        plain = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": _SETTINGS,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{one}" for one in (plain, hashlib.sha256(top).hexdigest())],
            },
        }
    ).encode()
    settings = hashlib.sha256(config).hexdigest()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(config), "digest": f"sha256:{settings}"},
        "layers": [
            {"mediaType": _LAYER, "size": len(content), "digest": f"sha256:{digest}"}
            for content, digest in zip(layers, packed, strict=True)
        ],
    }
    blobs = {settings: config, packed[0]: layer, packed[1]: layers[1]}
    return blobs, json.dumps(manifest).encode()


def _user_layer() -> bytes:
    """A layer that adds the image's user, with a home folder."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        passwd = tarfile.TarInfo("etc/passwd")
        content = f"root:x:0:0:root:/root:/bin/bash\n{_USER}".encode()
        passwd.size, passwd.mode = len(content), 0o644
        tar.addfile(passwd, io.BytesIO(content))
        home = tarfile.TarInfo("home/ray")
        home.type, home.mode, home.uid, home.gid = tarfile.DIRTYPE, 0o755, 1000, 100
        tar.addfile(home)
    return made.getvalue()


class _Handler(BaseHTTPRequestHandler):
    blobs: dict[str, Any]
    manifest: bytes
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        digest = f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"
        if self.path == "/v2/":
            self._send(b"{}", "application/json")
        elif self.path in (f"/v2/{NAME}/manifests/{TAG}", f"/v2/{NAME}/manifests/{digest}"):
            self._send(self.manifest, _MANIFEST, digest)
        elif (found := re.fullmatch(rf"/v2/{NAME}/blobs/sha256:(\w+)", self.path)) and (
            blob := self.blobs.get(found[1])
        ):
            content = blob if isinstance(blob, bytes) else blob.read_bytes()
            self._send(content, "application/octet-stream", f"sha256:{found[1]}")
        else:
            self._send(b'{"errors": [{"code": "NAME_UNKNOWN"}]}', "application/json", status=404)

    do_HEAD = do_GET

    def _send(self, content: bytes, kind: str, digest: str = "", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass
