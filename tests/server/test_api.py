"""The API of clusters in a Jupyter server: who gets in, and what it does with real clusters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from helpers import eventually
from jupyter_process import jupyter_server
from tornado.web import RequestHandler

import jupyter_cluster as jc
from jupyter_cluster.client.registry import entry
from jupyter_cluster.server.api import routes

pytestmark = pytest.mark.local

TOKEN = "secret"
METHODS = ("get", "post", "put", "patch", "delete")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def api(home: Path, root: Path) -> Iterator[str]:
    """The address of the API of a server that asks for a token."""
    with jupyter_server(root, TOKEN) as address:
        yield f"{address}jupyter-cluster/api/"


def ask(address: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    """Code and content of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = headers or {"Authorization": f"token {TOKEN}"}
    request = urllib.request.Request(address, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def done(api: str, operation: Row, seconds: float = 60) -> Row:
    """An operation when it is over."""

    found: list[Row] = []

    def is_over() -> bool:
        listed = ask(f"{api}clusters")[1]["operations"]
        found[:] = [one for one in listed if one["id"] == operation["id"]]
        return bool(found[0]["is_over"])

    eventually(is_over, seconds)
    return found[0]


def up(api: str, **asked: Any) -> Row:
    """Start a cluster, to the end of that."""
    code, operation = ask(f"{api}clusters", "POST", asked)
    assert code == 202, operation
    return done(api, operation)


class Stream:
    """Reads server-sent events on a thread: the newest card and view of each cluster."""

    def __init__(self, address: str) -> None:
        request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
        self.answer = urllib.request.urlopen(request, timeout=30)
        self.names: list[str] = []
        self.cards: dict[str, Row] = {}
        self.views: dict[str, Row] = {}
        self.sizes: list[int] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.answer:
                if line.startswith(b"data: "):
                    self._take(json.loads(line[6:]))
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def _take(self, news: Row) -> None:
        self.sizes.append(len(news["cards"]))
        self.cards |= {card["name"]: card for card in news["cards"]}
        self.views |= {view["name"]: view for view in news["views"]}
        self.names = news["names"]

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def follow() -> Iterator[Callable[[str], Stream]]:
    opened: list[Stream] = []

    def begin(address: str) -> Stream:
        opened.append(Stream(address))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


# -- who gets in ----------------------------------------------------------------------------------


def all_routes() -> list[tuple[str, str]]:
    """Each route with each method that it has, with something in the place of names."""
    found = []
    for pattern, handler, _settings in routes(""):
        path = re.sub(r"\(\?P<\w+>[^)]*\)", "some", pattern)
        for method in METHODS:
            if getattr(handler, method) is not getattr(RequestHandler, method):
                found.append((method.upper(), path))
    return found


def test_there_are_routes_for_all_that_is_promised() -> None:
    assert len(all_routes()) == 17
    assert ("DELETE", "clusters/some/jobs/some") in all_routes()


def logged_in(address: str, token: str) -> CookieJar:
    """The cookies of a browser that has opened a server with its token."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    for path in ("login", f"jupyter-cluster/?token={token}"):
        opener.open(address + path, timeout=30).close()
    return jar


def as_header(jar: CookieJar, renamed: dict[str, str] | None = None) -> str:
    names = renamed or {}
    return "; ".join(f"{names.get(one.name, one.name)}={one.value}" for one in jar)


def test_nobody_gets_in_without_a_login_without_xsrf_or_from_elsewhere(
    api: str, tmp_path: Path
) -> None:
    base = api.removesuffix("jupyter-cluster/api/")
    jar = logged_in(base, TOKEN)
    cookies = as_header(jar)
    with jupyter_server(tmp_path, "another") as another:
        theirs = logged_in(another, "another")
    ports = {urlsplit(one).port: one for one in (base, another)}
    assert len(ports) == 2
    mine = next(one.name for one in jar if one.name.startswith("username-"))
    other = next(one.name for one in theirs if one.name.startswith("username-"))
    forged = as_header(theirs, {other: mine})
    xsrf = next(one.value for one in jar if one.name == "_xsrf")
    theirs_xsrf = next(one.value for one in theirs if one.name == "_xsrf")
    for method, path in all_routes():
        body = {} if method == "POST" else None
        refused = {
            "no login": {"Accept": "*/*"},
            "a wrong token": {"Authorization": "token another"},
            "the login of another server": {"Cookie": forged, "X-XSRFToken": theirs_xsrf},
        }
        if method != "GET":
            refused["no XSRF token"] = {"Cookie": cookies}
            refused["a guessed XSRF token"] = {"Cookie": cookies, "X-XSRFToken": "guessed"}
        for what, headers in refused.items():
            code, content = ask(f"{api}{path}", method, body, **headers)
            assert code == 403, (what, method, path)
            assert content["message"], (what, method, path)
        foreign = {"Cookie": cookies, "X-XSRFToken": xsrf, "Origin": "https://evil.example"}
        code, content = ask(f"{api}{path}", method, body, **foreign)
        assert code in (403, 404), (method, path)
        assert set(content) == {"message"}
    # With all of it one gets in.
    assert ask(f"{api}clusters", Cookie=cookies)[0] == 200
    known = {"Cookie": cookies, "X-XSRFToken": xsrf}
    assert ask(f"{api}plans", "POST", {}, **known)[0] == 200


def test_what_cannot_be_is_refused_with_a_sentence(api: str, root: Path) -> None:
    (root / "bad.yaml").write_text("cluster_name: bad\nmax_wrokers: 3\n")
    (root / "sub").mkdir()
    (root / "link.yaml").symlink_to("/etc/hostname")
    (root / ".hidden.yaml").write_text("cluster_name: hidden\n")
    for method, path, body, code, words in (
        ("GET", "clusters/nobody", None, 404, "there is no cluster 'nobody'"),
        ("GET", "clusters/..%2F..", None, 404, "is no name for a cluster"),
        ("DELETE", "clusters/nobody", None, 404, "there is no cluster 'nobody'"),
        ("DELETE", "operations/..%2Fx", None, 404, "there is no operation"),
        ("GET", "clusters/nobody/logs?since=-1", None, 400, "since is a whole number"),
        ("POST", "clusters", {"file": "../outside.yaml"}, 400, "outside of the folder"),
        ("POST", "clusters", {"file": "/etc/passwd"}, 400, "outside of the folder"),
        ("POST", "clusters", {"file": "sub/../../x"}, 400, "outside of the folder"),
        ("POST", "clusters", {"file": "link.yaml"}, 400, "outside of the folder"),
        ("POST", "clusters", {"file": ".hidden.yaml"}, 400, "there is no file"),
        ("POST", "clusters", {"file": "a\0b"}, 400, "no path of a file"),
        ("POST", "clusters", {"file": "sub"}, 400, "there is no file"),
        ("POST", "clusters", {"file": "bad.yaml"}, 400, "bad.yaml:2: max_wrokers: "),
        ("POST", "clusters", {"file": "bad.yaml"}, 400, "did you mean max_workers?"),
        ("POST", "clusters", {"file": "bad.yaml", "cpus": 2}, 400, "leave them out"),
        ("POST", "clusters", {"name": "a b"}, 400, "name: "),
        ("POST", "clusters", {"cpus": "2"}, 400, "cpus: "),
        ("POST", "clusters", {"colour": "red"}, 400, "colour: "),
        ("POST", "clusters", [], 400, "the body: "),
        ("POST", "clusters/nobody/scale", {"max_workers": -1}, 400, "max_workers: "),
    ):
        got = ask(f"{api}{path}", method, body)
        assert got[0] == code, (method, path, body, got)
        assert set(got[1]) == {"message"}
        assert words in got[1]["message"], (path, body, got)
        assert str(root) not in got[1]["message"]
    assert ask(f"{api}clusters")[1]["names"] == []


# -- what it does ---------------------------------------------------------------------------------


def test_a_cluster_from_a_file_is_started_scaled_and_ended(
    api: str, root: Path, follow: Callable[[str], Stream]
) -> None:
    (root / "sub2").mkdir()
    (root / "sub2" / "mine.yaml").write_text(
        "cluster_name: mine\nprovider: {type: local}\nmax_workers: 2\n"
    )
    code, plan = ask(f"{api}plans", "POST", {"file": "sub2/mine.yaml"})
    assert (code, plan["cluster"], plan["question"]) == (200, "mine", "")
    assert "at most 2 worker nodes" in plan["lines"][0]
    over = up(api, file="sub2/mine.yaml")
    assert over["state"]["meaning"] == "good", over
    assert entry("mine").read("source.json")["file"] == str(root / "sub2" / "mine.yaml")
    assert ask(f"{api}plans", "POST", {"file": "sub2/mine.yaml"})[1]["table"] is None
    stream = follow(f"{api}stream?open=mine")
    eventually(lambda: stream.views.get("mine", {}).get("controls"))
    said = ask(f"{api}clusters/mine/scale", "POST", {"max_workers": 1, "min_workers": {"local": 1}})
    assert said == (200, {"said": "From now on at most 1 node."})
    eventually(lambda: stream.views["mine"]["nodes"]["count"] == 1)
    job = jc.connect("mine").map(time.sleep, [60], name="slow")
    eventually(lambda: [one["name"] for one in stream.cards["mine"]["jobs"]] == ["slow"])
    down = stream.cards["mine"]["actions"][0]
    assert down["question"] == "End it? 1 job would be lost."
    code, content = ask(f"{api}clusters/mine/jobs/{job.id}", "DELETE")
    assert (code, content["said"]) == (200, "Job slow was cancelled: 0 of its tasks are done.")
    eventually(lambda: stream.cards["mine"]["jobs"] == [])
    jc.shutdown()
    code, operation = ask(f"{api}clusters/mine", "DELETE")
    assert code == 202
    over = done(api, operation)
    assert over["lines"][-1] == "it has ended, nothing of it is left"
    eventually(lambda: stream.names == [])
    eventually(lambda: stream.views["mine"]["state"]["text"] == "ended")
    assert not entry("mine").exists
    assert ask(f"{api}operations/{over['id']}", "DELETE")[0] == 200
    listed = [one["id"] for one in ask(f"{api}clusters")[1]["operations"]]
    assert over["id"] not in listed


def test_what_others_start_appears_and_what_has_stopped_says_so(
    api: str, follow: Callable[[str], Stream]
) -> None:
    stream = follow(f"{api}stream")
    with jc.up(name="theirs", cpus=1) as cluster:
        eventually(lambda: stream.cards.get("theirs", {}).get("tiles"))
        for process in entry_processes(cluster):
            process.kill()
        eventually(lambda: stream.cards["theirs"]["state"]["text"] == "stopped")
        actions = [one["do"] for one in stream.cards["theirs"]["actions"]]
        assert actions == ["up", "down"]
        eventually(lambda: ask(f"{api}clusters/theirs")[1]["state"]["text"] == "ended")
        over = up(api, name="theirs")
        assert over["state"]["meaning"] == "good", over
        eventually(lambda: stream.cards["theirs"]["state"]["text"] == "running")


def entry_processes(cluster: jc.Cluster) -> list[Any]:
    """The host of a local cluster, with which all of it ends."""
    import psutil

    folder = str(entry(cluster.name).folder)
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if "jupyter_cluster.providers.local_host" in (one.info["cmdline"] or ())
        and folder in one.info["cmdline"]
    ]


def test_logs_events_and_a_figure_are_there(api: str) -> None:
    def said(x: int) -> int:
        print(f"<b>line {x}</b>")
        return x

    up(api, name="told", cpus=1)
    cluster = jc.connect("told")
    job = cluster.map(said, range(3), name="sayer")
    assert job.results(timeout=60) == [0, 1, 2]
    eventually(lambda: len(ask(f"{api}clusters/told/logs?job=sayer")[1]) == 3)
    lines = ask(f"{api}clusters/told/logs?job=sayer")[1]
    assert "<b>line 0</b>" in [line["text"] for line in lines]
    node = lines[0]["node"]
    last = lines[-1]["number"]
    assert ask(f"{api}clusters/told/logs?since={last}")[1] == []
    assert ask(f"{api}clusters/told/logs?node=nobody")[1] == []
    code, content = ask(f"{api}clusters/told/logs?job=nobody")
    assert (code, "nobody" in content["message"]) == (404, True)
    assert "text" in ask(f"{api}clusters/told/nodes/{node}/log")[1]
    events = ask(f"{api}clusters/told/events")[1]
    assert any(event["kind"] == "scale-up" for event in events)
    figure = ask(f"{api}clusters/told/figure")[1]
    assert figure["data"]
    assert "title" in figure["layout"] or "xaxis" in figure["layout"]
    bill = ask(f"{api}clusters/told/bill")[1]
    assert (bill["said"], bill["table"]["rows"][0]["key"]) == ("Cost: nothing", "local")
    code, content = ask(f"{api}clusters/told/attach")
    assert (code, "on this machine" in content["message"]) == (400, True)
    cells = ask(f"{api}clusters/told/handoff")[1]
    program = cells["example"].replace("range(600)", "range(6)") + "\nassert len(values) == 6\n"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
    subprocess.run([sys.executable, "-c", cells["connect"]], check=True, timeout=100)
    jc.shutdown()
    done(api, ask(f"{api}clusters/told", "DELETE")[1])


def test_an_operation_that_fails_says_why_and_stays_until_it_is_forgotten(
    api: str, root: Path
) -> None:
    (root / "never.yaml").write_text(
        "cluster_name: never\nprovider: {type: ssh, head_ip: 127.0.0.1, worker_ips: []}\n"
        "auth: {ssh_user: nobody}\n"
    )
    code, operation = ask(f"{api}clusters", "POST", {"file": "never.yaml"})
    assert code == 202, operation
    over = done(api, operation, 100)
    assert over["state"]["meaning"] == "bad"
    assert "127.0.0.1" in over["state"]["hint"]
    assert ask(f"{api}operations/{over['id']}", "DELETE")[0] == 200
    if entry("never").exists:
        done(api, ask(f"{api}clusters/never", "DELETE")[1])


def test_tasks_run_in_the_python_of_the_kernel_that_is_named(
    api: str, root: Path, tmp_path: Path
) -> None:
    made = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    [packages] = (made / "lib").glob("python3*/site-packages")
    ours = sysconfig.get_paths()["purelib"]
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    folder = root / "DATA" / "kernels" / "mine"
    folder.mkdir(parents=True)
    spec = {"argv": [f"{made}/bin/python"], "display_name": "mine", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    assert up(api, name="elsewhere", cpus=1, kernel="mine")["state"]["meaning"] == "good"
    prefixes = jc.connect("elsewhere").map(lambda _: sys.prefix, [1]).results(timeout=60)
    jc.shutdown()
    done(api, ask(f"{api}clusters/elsewhere", "DELETE")[1])
    assert prefixes == [str(made)]
