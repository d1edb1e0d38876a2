"""From up to down: a cluster that grows with the work, shrinks without it, and leaves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench, tags_of
from jupyter_cluster.demo.posters import make_posters

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

POSTERS = 200


@pytest.fixture(scope="module")
def posters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("posters")
    make_posters(folder, POSTERS)
    return folder


def palette(name: str) -> tuple[str, list[tuple[int, int, int]], bool]:
    """The colours of a poster that came by file_mounts, and whether this is a container."""
    from pathlib import Path

    from colorthief import ColorThief

    path = Path("~/data").expanduser() / name
    colours = ColorThief(path).get_palette(color_count=5, quality=20)
    return name, colours, Path("/.dockerenv").exists()


# The file of the post that the project began with, for fewer machines; `idle_timeout_minutes` is
# there so that a test can see it shrink.
SEED = """
cluster_name: autoscaler_demo
max_workers: 4
idle_timeout_minutes: 0.05
docker:
    image: "rayproject/ray:latest-cpu"
    container_name: "ray_container"
provider:
    type: aws
    region: us-west-1
available_node_types:
    default:
        resources: {}
        node_config:
            InstanceType: m5.4xlarge
head_node_type: default
file_mounts:
    "~/data": "./data"
head_setup_commands: []
setup_commands:
    - pip install tqdm colorthief
"""


@pytest.mark.timeout(600)  # five hosts pull an image
def test_the_seeds_cluster_from_up_to_down(bench: Bench, posters: Path):
    (bench.folder / "data").symlink_to(posters)
    path = bench.folder / "cluster.yaml"
    path.write_text(SEED)
    bench.rig.quota(128)  # the head counts too
    bench.start(path)
    cluster = jc.connect("autoscaler_demo")
    assert not bench.instances(kind="worker")
    head = tags_of(bench.instances()[0])
    assert (head["kind"], head["node-type"], head["status"]) == ("head", "default", "up-to-date")
    assert (head["cluster"], head["id"]) == ("autoscaler_demo", cluster.status()["id"])
    assert head["owner"].startswith("arn:aws:")
    assert head["launch"]
    assert head["expires"] > "2026"
    done = bench.command(
        "exec", "autoscaler_demo", "id -un; pwd; touch ~/mine && ls ~/data | wc -l"
    )
    assert done.stdout.split() == ["ray", "/home/ray", str(POSTERS)]  # the image's own user

    most = 0
    names = sorted(path.name for path in posters.iterdir())
    job = cluster.map(palette, names, num_cpus=16)  # one at a time on each, so that all are needed
    seen: set[str] = set()
    while not job.has_ended:
        rows = [tags_of(row) for row in bench.instances(kind="worker")]
        seen |= {row["status"] for row in rows}
        most = max(most, len(rows))
        assert all(row["id"] == head["id"] for row in rows)
        time.sleep(0.2)
    results = job.results()
    assert [name for name, _colours, _inside in results] == names
    assert all(len(colours) >= 3 and inside for _name, colours, inside in results)
    assert most == 4
    assert {"setting-up", "ready"} <= seen

    eventually(lambda: not bench.instances(kind="worker"), 60)
    bench.end("autoscaler_demo")
    assert not bench.left_over()


def test_palettes_from_up_to_down(bench: Bench, posters: Path):
    cluster = bench.up(
        file_mounts={"~/data": str(posters)},
        setup_commands=["pip install tqdm colorthief"],
        idle_timeout_minutes=0.05,
    )
    assert not bench.workers()
    head = tags_of(bench.instances()[0])
    assert (head["kind"], head["node-type"], head["status"]) == ("head", "head", "up-to-date")

    names = sorted(path.name for path in posters.iterdir())[:60]
    results = list(cluster.map(palette, names))
    assert [name for name, _colours, _inside in results] == names
    assert all(len(colours) >= 3 for _name, colours, _inside in results)
    rows = [tags_of(row) for row in bench.instances(kind="worker")]
    assert rows
    assert "ready" in {row["status"] for row in rows}
    assert {row["cluster"] for row in rows} == {"posters"}
    assert len({row["id"] for row in rows} | {head["id"]}) == 1

    eventually(lambda: not bench.workers(), 60)
    bench.end()
    assert not bench.left_over()
