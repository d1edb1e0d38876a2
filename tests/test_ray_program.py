"""A program written for Ray runs with nothing but its import changed.

The program below is ours; it uses the calls of the palette job of Ray's users: ``init`` with
``address="auto"``, ``@remote``, ``.remote``, a ``wait`` loop with a progress bar, ``get``, ``put``,
``shutdown``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from colorthief import ColorThief
from helpers import eventually, processes_of

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry
from jupyter_cluster.demo.posters import make_posters

pytestmark = [
    pytest.mark.local,
    # ColorThief 0.2.1 calls Image.getdata, which goes in Pillow 14.
    pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning"),
]

COUNT = 23  # not a multiple of the 10 that the program waits for
FURTHER_CALLS = 5

PROGRAM = """
import io
import json
import sys
import time

import ray
from colorthief import ColorThief
from tqdm import tqdm

ray.init(address="auto")

DATA = sys.argv[1]


def get_image_ids():
    with open(f"{DATA}/ids.json") as file:
        return json.load(file)


def load_image(image_id):
    with open(f"{DATA}/assets/{image_id}.jpg", "rb") as file:
        return io.BytesIO(file.read())


@ray.remote
def get_palette(image_id):
    return ColorThief(load_image(image_id)).get_palette(color_count=6)


@ray.remote(num_cpus=0.5, max_retries=1)
def darkest(palettes, rank):
    return sorted(min(palette, key=sum) for palette in palettes)[rank]


@ray.remote
def shout(text):
    return text.upper()


def progress_bar(refs):
    ready = []
    with tqdm(total=len(refs)) as bar:
        while refs:
            done, refs = ray.wait(refs, num_returns=10)
            bar.update(len(done))
            ready.extend(done)
    return ready


ids = get_image_ids()
start = time.time()
refs = [get_palette.remote(image_id) for image_id in ids]
ready = progress_bar(list(refs))
palettes = ray.get(refs)
print(f"Finished {len(ids)} images in {time.time() - start:.1f} s.")

stored = ray.put(palettes)
chained = shout.remote(shout.options(num_cpus=1).remote("as an argument"))
json.dump(
    {
        "palettes": palettes,
        "ready": sorted(refs.index(ref) for ref in ready),
        "in_order_of_completion": sorted(map(str, ray.get(ready))) == sorted(map(str, palettes)),
        "darkest": ray.get([darkest.remote(stored, rank) for rank in range(3)]),
        "chained": ray.get(chained),
    },
    open(f"{DATA}/out.json", "w"),
)
ray.shutdown()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What the program works on, and the program."""
    posters = make_posters(tmp_path / "assets", COUNT, size=(200, 300))
    (tmp_path / "ids.json").write_text(json.dumps([path.stem for path in posters]))
    changed = PROGRAM.replace("import ray\n", "import jupyter_cluster as ray\n")
    (tmp_path / "palettes_ray.py").write_text(changed)
    return tmp_path


def run(data: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "palettes_ray.py", str(data)],
        cwd=data,
        env={**os.environ, "JUPYTER_CLUSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=90,
    )


def check(data: Path, done: subprocess.CompletedProcess[str]) -> None:
    """Compare what it wrote with one process."""
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f"{COUNT}/{COUNT}" in done.stderr  # the progress bar came to its end
    images = sorted((data / "assets").iterdir())
    palettes = [ColorThief(str(path)).get_palette(color_count=6) for path in images]
    found = json.loads((data / "out.json").read_text())
    darkest = sorted(min(palette, key=sum) for palette in palettes)[:3]
    assert found == {
        "palettes": [[list(colour) for colour in palette] for palette in palettes],
        "ready": list(range(COUNT)),
        "in_order_of_completion": True,
        "darkest": [list(colour) for colour in darkest],
        "chained": "AS AN ARGUMENT",
    }


def test_it_starts_a_cluster_where_none_runs_which_outlives_it(home: Path, data: Path) -> None:
    check(data, run(data, home))
    [entry] = registry.entries()
    assert entry.is_alive  # as after ray.shutdown: the cluster is not the program's
    launch.end(entry)
    assert not processes_of(home)


ENDS = {
    "at its end": "",
    "by an exit": "raise SystemExit(3)",
    "by an error": "raise ValueError",
    "at once": "os._exit(0)",
    "by a kill": "os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_program_that_has_ended_leaves_no_calls_in_the_list(
    home: Path, tmp_path: Path, end: str
) -> None:
    program = f"""
import os, time
import jupyter_cluster as ray

ray.init()

@ray.remote
def wait(seconds):
    time.sleep(seconds)

values = ray.get([wait.remote(0) for _ in range(3)])
stored = ray.put(values)
running = wait.options(num_cpus=0.5).remote(600)
assert len(ray.init().jobs()) >= 2
{end}
"""
    environment = {**os.environ, "JUPYTER_CLUSTER_HOME": str(home)}
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "program.py"]
    with jc.up(name="programs", cpus=2) as cluster:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90
        )
        assert "AssertionError" not in done.stderr
        eventually(lambda: not cluster.jobs())
        eventually(lambda: not any(node["slots_busy"] for node in cluster.nodes()))


def test_it_takes_the_only_cluster_that_runs(home: Path, data: Path) -> None:
    with jc.up(name="mine", cpus=2) as mine:
        check(data, run(data, home))
        assert [entry.name for entry in registry.entries()] == ["mine"]
        assert sum(node["tasks_finished"] for node in mine.nodes()) == COUNT + FURTHER_CALLS
    assert not processes_of(home)
