"""Modules beside the notebook, devices, resources: what a task finds where it runs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from helpers import eventually

import jupyter_cluster as jc

pytestmark = pytest.mark.local


def run_script(folder: Path, text: str) -> str:
    """Run a script as a user would, from its own folder; returns what it printed."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_module_beside_the_script_travels_and_an_edit_is_seen(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    (tmp_path / "helper.py").write_text("def value(x):\n    return x + 1\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from .inner import name\n")
    (tmp_path / "pack" / "inner.py").write_text("name = 'inside'\n")
    printed = run_script(
        tmp_path,
        f"""
        import pathlib, time
        import helper
        import jupyter_cluster as jc
        cluster = jc.connect({cluster.name!r})
        def work(x):
            import pack
            return helper.value(x), pack.name
        print(cluster.map(helper.value, [1]).results(), cluster.map(work, [1]).results())
        pathlib.Path("helper.py").write_text("def value(x):\\n    return x + 100\\n")
        cluster._surroundings._checked = 0.0
        print(cluster.map(work, [1]).results())
        """,
    )
    assert printed == "[2] [(2, 'inside')]\n[(101, 'inside')]\n"


def test_a_folder_without_init_travels_as_far_as_it_is_modules(tmp_path: Path) -> None:
    for name in ("loose/deep/inner.py", "loose/data.bin", "other/unused.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def value(x):\n    return x + 1\n")
    printed = run_script(
        tmp_path,
        """
        import io, zipfile
        from jupyter_cluster.client.environment import Surroundings
        from loose.deep.inner import value
        made = Surroundings().now()
        print(made.names, sorted(zipfile.ZipFile(io.BytesIO(made.archive)).namelist()))
        """,
    )
    assert printed == "('loose', 'script') ['loose/deep/inner.py', 'script.py']\n"


def test_tasks_run_in_the_folder_of_the_caller(cluster: jc.Cluster) -> None:
    assert jc.get(cluster.remote(os.getcwd).remote()) == os.getcwd()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for another's limits")
def test_head_and_agents_may_open_many_files_and_tasks_as_many_as_a_plain_python(
    home: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (700, hard))
    try:
        cluster = jc.up(name="files", cpus=1)
        in_task = jc.get(cluster.remote(resource.getrlimit).remote(resource.RLIMIT_NOFILE))
        assert in_task == (700, hard)
        pids = json.loads(next(home.rglob("files/processes.json")).read_text())
        del pids["host"]
        assert len(pids) == 2
        for pid in pids.values():
            found, _hard = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)
            assert found == min(hard, 1 << 20)
        cluster.down()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_runs_on_a_node_never_exceeds_it(home: Path, tmp_path: Path) -> None:
    cluster = jc.up(name="shares", cpus=1)

    def work(x: int) -> int:
        mark = tmp_path / f"{os.getpid()}-{x}"
        mark.touch()
        together = len(list(tmp_path.iterdir()))
        time.sleep(0.05)
        mark.unlink()
        return together

    halves = cluster.map(work, range(20), num_cpus=0.5).results()
    assert 1 < max(halves) <= 2
    wholes = cluster.map(work, range(10), num_cpus=1).results()
    assert max(wholes) == 1
    cluster.down()


GPU_CLUSTER = """
cluster_name: devices
max_workers: 1
provider: {type: local}
available_node_types:
  gpu: {resources: {CPU: 4, GPU: 2, licence: 1}}
head_node_type: gpu
"""


def test_gpus_are_bound_and_a_slot_keeps_its_binding(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(GPU_CLUSTER)
    cluster = jc.up(path)

    def visible(_: int) -> tuple[str, int]:
        time.sleep(0.05)
        return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()

    whole = cluster.map(visible, range(12), num_gpus=1).results(timeout=60)
    assert {devices for devices, _pid in whole} == {"0", "1"}
    bindings: dict[int, set[str]] = {}
    for devices, pid in [
        *whole,
        *cluster.map(visible, range(6), num_gpus=2).results(timeout=60),
        *cluster.map(visible, range(6), num_gpus=0.5).results(timeout=60),
        *cluster.map(visible, range(6)).results(timeout=60),
    ]:
        bindings.setdefault(pid, set()).add(devices)
    assert all(len(seen) == 1 for seen in bindings.values())
    assert {"0,1", ""} <= {devices for seen in bindings.values() for devices in seen}
    cluster.down()


def test_a_custom_resource_limits_what_runs_together(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(GPU_CLUSTER)
    folder = tmp_path / "marks"
    folder.mkdir()
    cluster = jc.up(path)

    def work(x: int) -> int:
        mark = folder / str(x)
        mark.touch()
        together = len(list(folder.iterdir()))
        time.sleep(0.02)
        mark.unlink()
        return together

    licensed = cluster.map(work, range(8), num_cpus=0, resources={"licence": 1})
    assert max(licensed.results(timeout=60)) == 1
    cluster.down()


def test_what_tasks_print_is_in_the_log(cluster: jc.Cluster) -> None:
    @cluster.remote
    def talk() -> None:
        print("hello from the node")

    jc.get(talk.remote())

    def found() -> bool:
        lines = cluster.endpoint.get("logs")
        return any(line["text"] == "hello from the node" for line in lines)

    eventually(found)


def harm(_x: int) -> None:
    """What a task may do to its process, in the hope that no other job finds it."""
    import builtins
    import decimal
    import gc
    import locale
    import random
    import resource
    import signal
    import threading
    import warnings

    os.chdir("/")
    os.umask(0o777)
    os.environ["LEFT_BY_A_TASK"] = "1"
    builtins.sum = None  # type: ignore[assignment]
    sys.path.insert(0, "/left")
    sys.modules["json"] = None  # type: ignore[assignment]
    sys.setrecursionlimit(100)
    gc.disable()
    locale.setlocale(locale.LC_ALL, "C")
    decimal.getcontext().prec = 3
    warnings.simplefilter("error")
    random.seed(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(3600)
    threading.Thread(target=time.sleep, args=(600,)).start()
    sys.stdout.close()
    sys.stderr = None  # type: ignore[assignment]
    os.close(0)


def look(_x: int) -> dict[str, object]:
    """What a task finds."""
    import builtins
    import copyreg
    import decimal
    import gc
    import locale
    import logging
    import multiprocessing
    import resource
    import signal
    import threading
    import types
    import warnings

    umask = os.umask(0)
    os.umask(umask)
    print("this can be printed")
    return {
        "folder": os.getcwd(),
        "umask": umask,
        "environment": os.environ.get("LEFT_BY_A_TASK"),
        "builtins": type(builtins.sum).__name__,
        "path": "/left" in sys.path,
        "modules": "json" in sys.modules and sys.modules["json"] is None,
        "recursion": sys.getrecursionlimit(),
        "gc": gc.isenabled(),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": decimal.getcontext().prec,
        "warnings": [str(entry[:3]) for entry in warnings.filters],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "alarm": signal.alarm(0),
        "terminate": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "children": signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL,
        "blocked": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "threads": sorted(
            t.name for t in threading.enumerate() if t.name not in ("MainThread", "outbox")
        ),
        "input": sys.stdin.read(),
        "streams": sys.stdout is sys.__stdout__ and sys.stderr is sys.__stderr__,
        # What the engine would have left in a process of its own.
        "engine": sorted({"distributed", "dask", "tornado", "tblib", "numpy"} & set(sys.modules)),
        "tracebacks": types.TracebackType in copyreg.dispatch_table,
        "logging": [str(handler) for handler in logging.root.handlers],
        "multiprocessing": str(multiprocessing.get_start_method(allow_none=True)),
        "argv": sys.argv,
        "main": getattr(sys.modules["__main__"], "__file__", None),
        "excepthook": sys.excepthook is sys.__excepthook__,
    }


def test_a_job_finds_a_plain_python_whatever_the_one_before_has_done(cluster: jc.Cluster) -> None:
    plain = {
        "environment": None,
        "builtins": "builtin_function_or_method",
        "path": False,
        "modules": False,
        "gc": True,
        "decimal": 28,
        "alarm": 0,
        "terminate": True,
        "children": True,
        "blocked": [],
        "threads": [],
        "input": "",
        "streams": True,
        "engine": [],
        "tracebacks": False,
        "logging": [],
        "multiprocessing": "None",
        "argv": [""],
        "main": None,
        "excepthook": True,
    }
    before = cluster.map(look, range(4)).results(timeout=60)
    cluster.map(harm, range(2)).results(timeout=60)
    after = cluster.map(look, range(4)).results(timeout=60)
    for found in before + after:
        assert found == before[0]
        assert {name: found[name] for name in plain} == plain


def test_processes_do_not_share_their_random_numbers(cluster: jc.Cluster) -> None:
    def draw(_x: int) -> tuple[int, float]:
        import random

        time.sleep(0.2)
        return os.getpid(), random.random()

    first: dict[int, float] = {}
    for pid, number in cluster.map(draw, range(8)).results(timeout=60):
        first.setdefault(pid, number)
    assert len(set(first.values())) == len(first) > 1


def _trace(number: int) -> bool:
    is_traced = sys.gettrace() is not None
    sys.settrace(lambda *_: 1 / number)  # fails in the first
    return is_traced


def test_a_tracer_of_a_task_is_called_in_no_other_and_not_in_our_loop(cluster: jc.Cluster) -> None:
    assert cluster.map(_trace, range(3), max_retries=0).results(timeout=60) == [False] * 3
