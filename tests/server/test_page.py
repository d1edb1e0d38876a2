"""The page of a cluster: who gets it, and that it follows the cluster."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from jupyter_process import browser, jupyter_server

import jupyter_cluster as jc
from jupyter_cluster.cli import main

pytestmark = pytest.mark.local


@contextlib.contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The verb as a process of its own, and the address that it shows."""
    command = [sys.executable, "-m", "jupyter_cluster.cli", "dashboard", "--no-browser", *words]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def refused(address: str, **headers: str) -> int:
    """The code with which a stranger is refused."""
    with pytest.raises(HTTPError) as error:
        browser().open(urllib.request.Request(address, headers=headers), timeout=10)
    error.value.close()
    return error.value.code


def events(answer: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Kind and content of the events of a stream."""
    kind = "message"
    for line in answer:
        name, _, value = line.decode().strip().partition(": ")
        if name == "event":
            kind = value
        elif name.startswith("data"):
            yield kind, json.loads(value or "{}")


def test_the_page_follows_its_cluster_to_its_end(home: Path) -> None:
    cluster = jc.up(name="watched", cpus=1)
    with serving("watched") as (process, address):
        reader = browser()
        with reader.open(address, timeout=10) as answer:
            assert answer.url == address.partition("?")[0]  # the token is gone from the address
            page = answer.read().decode()
        for file in re.findall(r'(?:src|href)="(page\.\w+)"', page):
            assert reader.open(answer.url + file, timeout=10).read()
        with reader.open(f"{answer.url}follow", timeout=20) as stream:
            coming = events(stream)
            _kind, first = next(coming)
            assert {"header", "chart", "jobs", "nodes", "events"} <= set(first)
            cluster.map(abs, range(5), name="<b>palettes</b>").results(timeout=60)
            while "palettes" not in (jobs := next(coming)[1].get("jobs", "")):
                pass
            assert "<b>" not in jobs
            cluster.down()
            kinds = [kind for kind, _parts in coming]
            assert kinds[-1] == "end"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    jc.shutdown()


def test_strangers_do_not_get_it(cluster: jc.Cluster) -> None:
    with serving() as (_process, address):
        page = address.partition("?")[0]
        for path in ("", "follow", "page.js"):
            assert refused(page + path) == 403
        assert refused(f"{page}?token=guessed") == 403
        assert refused(page, Cookie=f"jupyter-cluster-{urlsplit(page).port}=guessed") == 403
        # A page of somebody else's whose name leads to this machine.
        assert refused(address, Host=f"evil.example:{urlsplit(page).port}") == 403


def test_a_cluster_that_is_not_there_is_named(cluster: jc.Cluster) -> None:
    with serving() as (_process, address):
        reader = browser()
        reader.open(address, timeout=10).close()
        with pytest.raises(HTTPError, match="there is no cluster another") as error:
            reader.open(address.partition("?")[0].replace("/shared/", "/another/"), timeout=10)
        error.value.close()


def test_a_port_that_is_in_use_is_said(
    cluster: jc.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as (_process, address):
        port = str(urlsplit(address).port)
        assert main(["dashboard", "--no-browser", "--port", port]) == 2
    assert f"--port {port}: Address already in use" in capsys.readouterr().err


def test_a_jupyter_server_has_it_behind_its_login(cluster: jc.Cluster, tmp_path: Path) -> None:
    with jupyter_server(tmp_path, token="secret") as address:
        page = f"{address}jupyter-cluster/shared/"
        known = {"Authorization": "token secret"}
        for path in ("page.js", "follow"):
            with browser().open(page + path, timeout=10) as answer:
                assert "/login?" in answer.url
        with browser().open(urllib.request.Request(page, headers=known), timeout=10) as answer:
            assert 'data-section="nodes"' in answer.read().decode()
        asked = urllib.request.Request(f"{page}follow", headers=known)
        with browser().open(asked, timeout=20) as stream:
            assert "shared" in next(events(stream))[1]["header"]
        listed = urllib.request.Request(f"{address}jupyter-cluster/", headers=known)
        with browser().open(listed, timeout=10) as answer:
            assert 'href="shared/"' in answer.read().decode()
        style = urllib.request.Request(f"{address}jupyter-cluster/page.css", headers=known)
        with browser().open(style, timeout=10) as answer:
            assert ".jc-panel" in answer.read().decode()
