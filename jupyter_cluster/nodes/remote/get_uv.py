"""On a host: fetch uv from the package index that pip would use.

    python3 get_uv.py TARGET

uv is one static program in a wheel; its digest is checked against what the index says. An index may
ask for a password, which stands in its address or in a .netrc; nothing of it is ever printed.
"""

from __future__ import annotations

import base64
import hashlib
import html.parser
import http.client
import io
import json
import netrc
import os
import platform
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

DEFAULT = "https://pypi.org/simple/"
NAMES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
JSON = "application/vnd.pypi.simple.v1+json"
# Many indexes know only the older form.
ACCEPT = JSON + ", text/html;q=0.5"
# Touched while files arrive; see `nodes.guard`.
PROGRESS = "/var/lib/jupyter-cluster/progress"
PIECE = 2**18


def index_address() -> str:
    """Of the index that pip and uv are told to use."""
    found = next((os.environ[name] for name in NAMES if os.environ.get(name)), DEFAULT)
    if "=" in found.partition("://")[0]:  # uv's form with a name
        found = found.partition("=")[2]
    return found.rstrip("/") + "/"


def without_password(address: str) -> tuple[str, str]:
    """An address without what only its owner may know, and that as a header; empty for none."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    user, password = parts.username or "", parts.password or ""
    if not user and not password:
        try:
            found = netrc.netrc().authenticators(parts.hostname or "")
            user, password = (found[0], found[2]) if found else ("", "")
        except (OSError, netrc.NetrcParseError):
            pass
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host))
    if not user and not password:
        return plain, ""
    words = "{}:{}".format(urllib.parse.unquote(user), urllib.parse.unquote(password or ""))
    return plain, "Basic " + base64.b64encode(words.encode()).decode()


class Access:
    """Gets what is on an index, with its password where that belongs to."""

    def __init__(self, index: str) -> None:
        self.index, self.secret = without_password(index)

    def get(self, address: str, accept: str = "*/*", timeout: int = 120) -> tuple[str, bytes]:
        """The kind and the content of what is at an address."""
        headers = {"Accept": accept, "User-Agent": "jupyter_cluster"}
        if self.secret and host_of(address) == host_of(self.index):
            headers["Authorization"] = self.secret
        # As one that is not passed on when another host is said to have it.
        request = urllib.request.Request(address, headers={})
        for name, value in headers.items():
            request.add_unredirected_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.headers.get_content_type(), b"".join(pieces_of(answer))
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", "") or error
            code = getattr(error, "code", "")
            sys.exit(f"{address} cannot be fetched: {code} {reason}".replace("  ", " "))


def pieces_of(answer: Any) -> Iterator[bytes]:
    """What an index sends; as long as some of it comes, the host's watch waits."""
    while piece := answer.read(PIECE):
        try:
            os.utime(PROGRESS)
        except OSError:
            pass  # a host that was there before us has no watch
        yield piece


def host_of(address: str) -> str:
    """With its port."""
    return urllib.parse.urlsplit(address).netloc.rpartition("@")[2]


class Links(html.parser.HTMLParser):
    """The files of an index's page in its older form (PEP 503)."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link to a file, with its digest behind a #."""
        address = dict(attrs).get("href") or ""
        if tag == "a" and address:
            url, _, digest = address.partition("#")
            kind, _, value = digest.partition("=")
            name = urllib.parse.unquote(url.partition("?")[0].rpartition("/")[2])
            self.files.append({"filename": name, "url": url, "hashes": {kind: value}})


def files_of(kind: str, page: bytes) -> list[dict[str, Any]]:
    """What an index's page has, in either form."""
    if kind.endswith("json"):
        found: list[dict[str, Any]] = json.loads(page)["files"]
        return found
    links = Links()
    links.feed(page.decode(errors="replace"))
    return links.files


def fits(name: str) -> bool:
    """Whether a wheel is for this machine."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    return name.startswith("uv-") and name.endswith(f"_{machine}.whl") and "manylinux" in name


def version(name: str) -> list[int]:
    """Of a wheel, to be compared."""
    parts = name.split("-")[1].split(".")
    return [int(part) if part.isdigit() else -1 for part in parts]


def main(target: str) -> None:
    """Fetch it, where it is not there yet."""
    if os.access(target, os.X_OK):
        return
    access = Access(index_address())
    page = urllib.parse.urljoin(access.index, "uv/")
    files = [file for file in files_of(*access.get(page, ACCEPT, 30)) if fits(file["filename"])]
    if not files:
        sys.exit(f"the package index {page} has no uv for {platform.machine()}")
    newest = max(files, key=lambda file: version(file["filename"]))
    where = without_password(urllib.parse.urljoin(page, newest["url"]))[0]
    wheel = access.get(where)[1]
    wanted = newest["hashes"].get("sha256")
    if wanted and hashlib.sha256(wheel).hexdigest() != wanted:
        sys.exit("{} arrived damaged".format(newest["filename"]))
    if not wanted and not where.startswith("https://"):
        sys.exit(f"the package index {page} has no digest of uv and is not https: who is it?")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".data/scripts/uv"))
        program = archive.read(name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".part", "wb") as file:
        file.write(program)
    os.chmod(target + ".part", 0o755)
    os.replace(target + ".part", target)


if __name__ == "__main__":
    main(os.path.expanduser(sys.argv[1]))
