"""Several clusters and several owners in one account; who may log in; what is left by the lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import REGION, Bench, ssh_key, tags_of
from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import entry
from jupyter_cluster.client.tunnel import close_tunnel
from jupyter_cluster.errors import ClusterError

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


def test_two_clusters_at_once_know_nothing_of_each_other(bench: Bench):
    one = bench.up(cluster_name="one", max_workers=1)
    two = bench.up(cluster_name="two", max_workers=1)
    assert one.map(abs, [-1]).results() == [1]
    assert two.map(abs, [-2]).results() == [2]
    jc.shutdown()
    launch.end(entry("one"))
    assert {tags_of(row)["cluster"] for row in bench.instances()} == {"two"}
    assert jc.connect("two").map(abs, [-3]).results() == [3]


@contextmanager
def another_user(bench: Bench, environment: pytest.MonkeyPatch) -> Iterator[None]:
    """Ada, who has keys of her own and a registry of her own."""
    iam = bench.client("iam")
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    environment.setenv("JUPYTER_CLUSTER_HOME", str(bench.folder / "ada"))
    environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    yield
    iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="ada")


def test_two_owners_may_use_one_name_in_one_account(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    path = bench.file()
    bench.start(path)
    with monkeypatch.context() as adas, another_user(bench, adas):
        bench.start(path)
        heads = [tags_of(row) for row in bench.instances(kind="head")]
        assert len({row["id"] for row in heads}) == 2
        assert sorted(row["owner"].rpartition("/")[2] == "ada" for row in heads) == [False, True]
        launch.end(entry("posters"))
    assert len(bench.instances(kind="head")) == 1
    assert jc.connect("posters").map(abs, [-3]).results() == [3]


def test_one_owner_on_two_machines_has_one_cluster_of_a_name(bench: Bench):
    path = bench.file()
    words = [sys.executable, "-m", "jupyter_cluster.cli", "up", str(path), "-y"]
    homes = [bench.folder / "registry", bench.folder / "other"]
    both = [
        subprocess.Popen(
            words,
            env={**os.environ, "JUPYTER_CLUSTER_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home in homes
    ]
    said = [one.communicate(timeout=150)[1] for one in both]
    codes = [one.returncode for one in both]
    assert sorted(codes) == [0, 1], said
    (head,) = bench.instances(kind="head")
    loser = codes.index(1)
    assert f"its head is {head['InstanceId']}" in said[loser]
    assert not (homes[loser] / "clusters" / "posters").exists()
    os.environ["JUPYTER_CLUSTER_HOME"] = str(homes[1 - loser])  # the bench ends it from there


def test_another_machine_ends_a_cluster_by_its_tags(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    path = bench.file()
    cluster = bench.up(max_workers=1)
    cluster.map(abs, [-1]).results()
    assert bench.workers()
    jc.shutdown()
    with monkeypatch.context() as other:
        other.setenv("JUPYTER_CLUSTER_HOME", str(bench.folder / "other"))
        done = bench.command("up", str(path), "-y")
        assert "`jupyter-cluster down posters --region us-west-1` ends it from here" in done.stderr
        done = bench.command("down", "posters", "--region", REGION)
        assert f"head {bench.head()} (running)" in done.stdout
        assert "Nobody can be asked here" in done.stderr
        assert bench.workers()
        done = bench.command("down", str(path), "-y", timeout=120)
        assert done.returncode == 0, done.stderr
    assert not bench.left_over()
    assert bench.command("down", "posters", "-y").returncode == 0  # here nothing is left to end


def test_a_cluster_stays_in_its_region_and_down_leaves_none_not_even_what_is_shown_late(
    bench: Bench,
):
    bench.start(bench.file())
    moved = bench.file(provider={"region": "us-west-2"})
    done = bench.command("up", str(moved), "-y")
    assert done.returncode
    assert "made in region us-west-1, and this is region us-west-2" in done.stderr
    assert [row["Placement"]["AvailabilityZone"][:-1] for row in bench.instances()] == [REGION]
    cluster = jc.connect("posters")
    assert cluster.status()["state"] == "running"
    bench.rig.behave(hidden_seconds=8)
    launches = bench.rig.calls()["RunInstances"]
    cluster.map(abs, range(4))
    eventually(lambda: bench.rig.calls()["RunInstances"] > launches)
    jc.shutdown()
    done = bench.command("down", str(moved), "-y")
    assert done.returncode == 0, done.stderr
    bench.rig.behave(hidden_seconds=0)
    assert not bench.left_over()


def test_a_user_that_the_image_does_not_have_is_named(bench: Bench):
    with pytest.raises(ClusterError, match=r"does not let user 'nobody-here' in.*auth\.ssh_user"):
        bench.start(bench.file(auth={"ssh_user": "nobody-here"}, setup_timeout_minutes=0.2))


def test_a_key_that_the_hosts_do_not_take_is_named(bench: Bench, tmp_path):
    ec2 = bench.client()
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=ssh_key()[1])
    (tmp_path / "other.pem").write_bytes(ssh_key()[0])
    changes = {
        "auth": {"ssh_private_key": str(tmp_path / "other.pem")},
        "provider": {"key_pair": {"key_name": "mine"}},
        "setup_timeout_minutes": 0.2,
    }
    with pytest.raises(ClusterError, match=r"does not let user 'ubuntu' in.*ssh_private_key"):
        bench.start(bench.file(**changes))
    ec2.delete_key_pair(KeyName="mine")


def test_a_host_key_that_has_changed_stops_everything(bench: Bench):
    bench.start(bench.file())
    place = entry("posters")
    known = place.folder / "known_hosts"
    name, _key = known.read_text().split(" ", 1)
    known.write_text(f"{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH\n")
    close_tunnel(place)
    with pytest.raises(ClusterError, match="shows another SSH host key than before"):
        jc.connect("posters")
    known.unlink()


def expire(bench: Bench) -> None:
    """Nobody has looked after the head, nor after what it needs, for long."""
    ec2 = bench.client()
    groups = ec2.describe_security_groups()["SecurityGroups"]
    names = [row["GroupId"] for row in groups if row["GroupName"] != "default"]
    names += [row["KeyPairId"] for row in ec2.describe_key_pairs()["KeyPairs"]]
    past = {"Key": "jupyter-cluster:expires", "Value": "2026-01-01T00:00:00Z"}
    ec2.create_tags(Resources=[bench.head(), *names], Tags=[past])


def test_what_a_lost_registry_has_left_is_found_and_ended_by_gc(bench: Bench):
    bench.start(bench.file())
    shutil.rmtree(entry("posters").folder)
    done = bench.command("gc", "--region", "us-west-1", "-y")
    assert "0 of nobody" in done.stderr, done.stderr
    head = bench.head()
    expire(bench)
    done = bench.command("gc", "--region", "us-west-1", "-y")
    assert head in done.stdout
    assert "nothing of it is left" in done.stderr
    assert not bench.left_over()


def test_gc_leaves_alone_what_is_anothers_and_what_keeps_results(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.start(bench.file())
    head = bench.head()
    shutil.rmtree(entry("posters").folder)
    expire(bench)
    with monkeypatch.context() as adas, another_user(bench, adas):
        done = bench.command("gc", "--region", "us-west-1", "-y")
        assert "1 of nobody" in done.stderr
        assert "--all-owners" in done.stdout
    bench.client().stop_instances(InstanceIds=[head])
    eventually(lambda: bench.instances("stopped"))
    done = bench.command("gc", "--region", "us-west-1", "-y")
    assert "--stopped" in done.stdout
    assert bench.head() == head
    bench.command("gc", "--region", "us-west-1", "-y", "--stopped")
    assert not bench.left_over()
