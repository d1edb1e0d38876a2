"""A cluster stays where it was made, on whichever machine that is known; on moto's EC2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aws_account import KEY, Recorder, an_account, an_image

import jupyter_cluster as jc
from jupyter_cluster.cli import main
from jupyter_cluster.client.registry import Entry, entry
from jupyter_cluster.client.whereabouts import open_place, write_config
from jupyter_cluster.commands import parse
from jupyter_cluster.commands.lifecycle import down, up
from jupyter_cluster.commands.orphans import gc
from jupyter_cluster.config import load
from jupyter_cluster.errors import RegistryError, UsageError
from jupyter_cluster.providers.aws import AwsProvider, foundation, leavings, provider
from jupyter_cluster.providers.aws.service import Service, credentials_of
from jupyter_cluster.providers.aws.tags import Owner

pytestmark = pytest.mark.unit

HERE, THERE = "us-west-1", "eu-central-1"


class Asked:
    """A console whose questions are answered beforehand; without an answer, nobody is there."""

    program = "jupyter-cluster"

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.said: list[str] = []

    def show(self, *parts: Any) -> None:
        self.said += map(str, parts)

    def json(self, value: Any) -> None:
        self.said.append(str(value))

    def notice(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def step(self, text: str) -> Iterator[Asked]:
        yield self

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        self.said.append(text)

    def ask(self, question: str) -> bool:
        self.said.append(question)
        if not self.answers:
            raise UsageError("nobody is there")
        return self.answers.pop(0)

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account and a registry with nothing in them."""
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "registry"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for module in (provider, foundation):
        monkeypatch.setattr(module, "_POLL_SECONDS", 0.0, raising=False)
        monkeypatch.setattr(module, "_GROUP_PAUSE", 0.0, raising=False)
    with an_account():
        monkeypatch.setattr(leavings, "Service", Recorder)
        monkeypatch.setattr(provider, "service_of", service_of)
        yield


def service_of(config: Any) -> Service:
    return Recorder(config.provider.region, credentials_of(config))


def a_file(folder: Path, region: str = HERE, name: str = "posters") -> Path:
    path = folder / "cluster.yaml"
    path.write_text(
        f"cluster_name: {name}\nprovider: {{type: aws, region: {region}}}\nhead_node_type: any\n"
        f"available_node_types: {{any: {{node_config: {{InstanceType: m5.large, ImageId:"
        f" {an_image(region)}}}}}}}\n"
    )
    return path


def machines(region: str = HERE) -> list[str]:
    """The states of all instances that are there."""
    pages = Recorder(region).pages("describe_instances", "Reservations")
    states = [row["State"]["Name"] for one in pages for row in one["Instances"]]
    return [state for state in states if state != "terminated"]


def known_here(path: Path) -> Entry:
    """A cluster that this machine has started: a head, and what belongs to it."""
    config = load(path)
    place = entry(config.cluster_name)
    place.folder.mkdir(parents=True)
    hosts = open_place(place, config)
    hosts.prepare(KEY, lambda _text: None)
    hosts.create_head(1.0)
    write_config(place, config)
    place.write("source.json", {"file": config.source})
    return place


def of_another_machine(path: Path, owner: str = "", id_: str = "0123456789ab") -> None:
    """A head, a worker, and what belongs to them, of which this machine knows nothing."""
    config = load(path)
    service = Recorder(config.provider.region)  # type: ignore[union-attr]
    whose = Owner(config.cluster_name, id_, owner or service.caller())
    made = AwsProvider(config, whose, service=service)
    made.prepare(KEY, lambda _text: None)
    made.create_head(1.0)
    made.create("any", ["any-1"])


def ups(path: Path, console: Asked, *words: str) -> Any:
    return up(parse(["up", str(path), *words]), console)


# -- what has changed in a file -------------------------------------------------------------------


def test_a_changed_region_is_said_and_asked(tmp_path: Path) -> None:
    place = known_here(a_file(tmp_path))
    moved = a_file(tmp_path, THERE)
    console = Asked(False)
    assert ups(moved, console) is None
    assert "made in region us-west-1, and this is region eu-central-1" in console.text
    assert "End it where it is, with all it has kept, and go on here?" in console.text
    assert console.said[-1] == "Nothing was started."
    assert place.exists
    assert machines() == ["running"]


@pytest.mark.parametrize("words", [["-y"], []])
def test_a_changed_region_is_refused_where_nobody_is_asked(
    tmp_path: Path, words: list[str]
) -> None:
    known_here(a_file(tmp_path))
    with pytest.raises(RegistryError, match="take it down with that first, or use another cluster"):
        ups(a_file(tmp_path, THERE), Asked(), *words)
    assert (machines(), machines(THERE)) == (["running"], [])


def test_who_agrees_has_the_former_ended_before_anything_is_made(tmp_path: Path) -> None:
    place = known_here(a_file(tmp_path))
    moved = a_file(tmp_path, THERE)
    moved.write_text(moved.read_text().replace("InstanceType: m5.large", "InstanceType: m5.none"))
    console = Asked(True)
    with pytest.raises(Exception, match=r"m5\.none"):  # and then the plan of what comes
        ups(moved, console)
    assert not place.exists
    assert (machines(), machines(THERE)) == ([], [])


def test_another_provider_is_asked_about_too(tmp_path: Path) -> None:
    place = known_here(a_file(tmp_path))
    (tmp_path / "here.yaml").write_text("cluster_name: posters\nprovider: {type: local}\n")
    console = Asked(False)
    assert ups(tmp_path / "here.yaml", console) is None
    assert "is one on aws, not on local" in console.text
    assert place.exists


def test_another_account_cannot_be_asked_about_only_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path)
    known_here(path)
    monkeypatch.setattr(Service, "caller", lambda _self: "arn:aws:iam::222222222222:user/ada")
    with pytest.raises(RegistryError, match="and this is account 222222222222"):
        ups(path, Asked(True))


def test_a_changed_name_in_the_same_file_is_no_second_cluster_unasked(tmp_path: Path) -> None:
    known_here(a_file(tmp_path))
    renamed = a_file(tmp_path, name="palettes")
    for words in (["-y"], []):
        with pytest.raises(RegistryError, match="has started cluster 'posters', which still runs"):
            ups(renamed, Asked(), *words)
    with pytest.raises(RegistryError, match="has started cluster 'posters', which still runs"):
        jc.up(renamed)
    console = Asked(False)
    assert ups(renamed, console) is None
    assert "Go on with a second one, 'palettes'?" in console.text
    assert machines() == ["running"]
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError):  # asked about its cost, and about nothing else
        ups(a_file(tmp_path / "other", name="palettes"), console)


# -- another machine ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "file"])
def test_what_another_machine_has_started_is_ended_by_its_tags(tmp_path: Path, by: str) -> None:
    path = a_file(tmp_path)
    of_another_machine(path)
    words = [str(path)] if by == "file" else ["posters", "--region", HERE, "--region", THERE]
    console = Asked(False)
    down(parse(["down", *words]), console)
    assert "End it with all that is there and all it has kept?" in console.text
    for thing in ("head i-", "worker i-", "key pair jupyter-cluster-posters", "group sg-"):
        assert thing in console.text
    assert len(machines()) == 2
    down(parse(["down", *words, "-y"]), Asked())
    assert machines() == []
    found = leavings.find(Recorder(HERE))
    assert found == []
    assert not Recorder(HERE).ask("list_roles", "iam")["Roles"]


def test_a_cluster_of_the_same_name_in_another_region_is_not_the_one_that_is_meant(
    tmp_path: Path,
) -> None:
    place = known_here(a_file(tmp_path))
    of_another_machine(a_file(tmp_path, THERE))
    down(parse(["down", "posters", "--region", THERE, "-y"]), Asked())
    assert (machines(), machines(THERE)) == (["running"], [])
    down(parse(["down", "posters", "--region", HERE, "-y"]), Asked())
    assert not place.exists
    assert machines() == []


def test_what_is_anothers_is_not_ended_by_its_name(tmp_path: Path) -> None:
    of_another_machine(a_file(tmp_path), "arn:aws:iam::1:user/bo")
    with pytest.raises(RegistryError, match="that of arn:aws:iam::1:user/bo is not yours to end"):
        down(parse(["down", "posters", "--region", HERE, "-y"]), Asked())
    assert len(machines()) == 2


def test_a_file_for_this_machine_asks_no_account(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("cluster_name: here\nprovider: {type: local}\n")
    with pytest.raises(RegistryError, match=r"there is no cluster 'here'; none is running$"):
        down(parse(["down", str(tmp_path / "here.yaml"), "--region", HERE]), Asked())


def test_where_no_region_is_known_the_way_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "nowhere"]) == 1
    said = capsys.readouterr().err
    assert "there is no cluster 'nowhere'; none is running" in said
    assert "down nowhere --region REGION" in said


# -- what nobody looks after ----------------------------------------------------------------------


def expired(region: str) -> None:
    past = {"Key": "jupyter-cluster:expires", "Value": "2026-01-01T00:00:00Z"}
    service = Recorder(region)
    rows = service.ask("describe_tags")["Tags"]
    names = {row["ResourceId"] for row in rows if row["Key"] == past["Key"]}
    service.ask("create_tags", Resources=sorted(names), Tags=[past])


def test_gc_looks_where_clusters_of_this_machine_are_and_wherever_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_here(a_file(tmp_path))
    (tmp_path / "lost").mkdir()
    of_another_machine(a_file(tmp_path / "lost", THERE, "lost"), id_="ba9876543210")
    expired(THERE)
    console = Asked()
    gc(parse(["gc"]), console)
    assert "0 of nobody" in console.text  # in the region of the registry's
    assert {HERE, THERE} < set(leavings.enabled_regions(HERE))
    monkeypatch.setattr(leavings, "enabled_regions", lambda _region: [HERE, THERE])
    for words in (["--region", HERE, "--region", THERE], ["--all-regions"]):
        console = Asked(False)
        gc(parse(["gc", *words]), console)
        assert "2 clusters in the account, 1 of nobody" in console.text
    monkeypatch.setenv("AWS_DEFAULT_REGION", THERE)
    gc(parse(["gc", "-y"]), Asked())
    assert (machines(), machines(THERE)) == (["running"], [])


def test_a_region_that_does_not_answer_keeps_no_other_from_being_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = leavings.find

    def find(service: Service) -> list[leavings.Leavings]:
        if service.region == THERE:
            service.call("describe_instances", lambda: Recorder._refuse("", "AuthFailure"))
        return real(service)

    monkeypatch.setattr(leavings, "find", find)
    console = Asked()
    gc(parse(["gc", "--region", HERE, "--region", THERE]), console)
    assert f"{THERE} was not looked at: " in console.text
    with pytest.raises(Exception, match="AuthFailure"):
        gc(parse(["gc", "--region", THERE]), console)
