"""Where a cluster is, and that there is one of its name; who waits for whom."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import entry
from jupyter_cluster.client.whereabouts import hosts_of, moved, write_config
from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.errors import NoClusterError, RegistryError
from jupyter_cluster.providers.aws import AwsProvider, tags
from jupyter_cluster.providers.aws.service import Service

pytestmark = pytest.mark.unit

ADA = "arn:aws:sts::1:assumed-role/science/botocore-session-17"


def aws(region: str) -> ClusterConfig:
    return parse(
        f"cluster_name: posters\nprovider: {{type: aws, region: {region}}}\nhead_node_type: any\n"
        "available_node_types: {any: {node_config: {InstanceType: m5.large}}}\n"
    )


def test_what_has_changed_is_said_and_nothing_else() -> None:
    here = {"region": "us-west-1", "account": "1"}
    assert moved("posters", here, dict(here)) == ""
    said = moved("posters", here, {"region": "us-west-2", "account": "1"})
    assert "made in region us-west-1, and this is region us-west-2" in said
    assert "account" not in said
    assert "account 2" in moved("posters", here, {"region": "us-west-1", "account": "2"})


@pytest.mark.usefixtures("home")
def test_neither_another_region_nor_another_account_is_asked_for_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers = {"arn": "arn:aws:iam::1:user/ada"}
    monkeypatch.setattr(Service, "caller", lambda _self: callers["arn"])
    place = entry("posters")
    place.folder.mkdir(parents=True)
    write_config(place, aws("us-west-1"))
    place.write("cluster.json", {**place.identity(), "owner": callers["arn"]})
    place.write("host.json", {})
    hosts_of(place)  # one from before homes were noted
    with pytest.raises(RegistryError, match="region us-west-1, and this is region us-west-2"):
        launch.check_place(place, aws("us-west-2"))
    with pytest.raises(RegistryError, match="is one on aws, not on local"):
        launch.check_place(place, parse("cluster_name: posters\nprovider: {type: local}\n"))
    home = {"region": "us-west-1", "account": "1"}
    place.write("cluster.json", {**place.identity(), "home": home})
    hosts_of(place)
    callers["arn"] = "arn:aws:iam::2:user/ada"
    for ask in (hosts_of, launch.end):  # `down` would find nothing there, and say that all is gone
        with pytest.raises(RegistryError, match="account 1, and this is account 2"):
            ask(place)
    assert place.exists
    place.remove()


def head(id_: str, owner: str, launched: int, machine: str = "i-1") -> dict[str, Any]:
    labels = {tags.ID: id_, tags.OWNER: owner, tags.NODES: "head", tags.CLUSTER: "posters"}
    return {
        "InstanceId": machine,
        "LaunchTime": launched,
        "State": {"Name": "running"},
        "Tags": tags.as_list(labels),
    }


@pytest.mark.parametrize(
    ("others", "elder"),
    [
        ([], None),
        ([head("other", ADA, 2)], None),
        ([head("other", ADA, 0, "i-0")], "i-0"),
        ([head("other", ADA.replace("17", "18"), 0, "i-0")], "i-0"),  # another session
        ([head("other", ADA, 1, "i-0")], "i-0"),  # in the same second
        ([head("other", ADA, 1, "i-2")], None),
        ([head("other", "arn:aws:iam::1:user/bo", 0)], None),  # a colleague's
    ],
)
def test_of_two_heads_of_one_owner_and_name_the_first_stays(
    monkeypatch: pytest.MonkeyPatch, others: list[dict[str, Any]], elder: str | None
) -> None:
    provider = AwsProvider(aws("us-west-1"), tags.Owner("posters", "own", ADA))
    rows = [head("own", ADA, 1), *others]
    monkeypatch.setattr(provider._ec2, "heads", lambda: rows)
    found = provider.elder_head()
    assert (found.machine if found else None) == elder


@pytest.mark.usefixtures("home")
def test_who_waits_is_told_for_what() -> None:
    place, said, waits = entry("posters"), list[str](), threading.Event()

    def progress(text: str) -> None:
        said.append(text)
        waits.set()

    def start() -> None:
        with launch._alone(place, "started", progress):
            pass

    with launch._alone(place, "ended", said.append):
        second = threading.Thread(target=start)
        second.start()
        assert waits.wait(60)
    second.join()
    assert said == [f"it is being ended by process {os.getpid()}: waiting for that"]


@pytest.mark.usefixtures("home")
def test_what_has_ended_meanwhile_is_neither_launched_unasked_nor_ended_twice() -> None:
    config = parse("cluster_name: posters\nprovider: {type: local}\n")
    with pytest.raises(NoClusterError, match="does not run any more"):
        launch.start(config, may_launch=False)
    assert not entry("posters").exists
