"""What a line of `%cluster` is completed with."""

from __future__ import annotations

from pathlib import Path

import pytest

import jupyter_cluster as jc
from jupyter_cluster.commands.completion import completions
from jupyter_cluster.commands.verbs import VERBS


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry without clusters."""
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "registry"))


@pytest.mark.unit
@pytest.mark.usefixtures("nothing")
def test_verbs_and_options() -> None:
    verbs = [verb.name for verb in VERBS]
    assert completions("%cluster ") == completions("%cluster sta") == verbs
    assert completions("%cluster scale --max") == completions("%cluster scale ")
    assert {"--max-workers", "--min-workers", "--request"} <= set(completions("%cluster scale "))
    assert completions("%cluster nonsense ") == []


@pytest.mark.unit
@pytest.mark.usefixtures("nothing")
def test_choices_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "notes.txt").touch()
    assert {"check", "explain", "schema"} < set(completions("%cluster config "))
    assert "mine.yaml" in completions("%cluster config check ")
    assert "mine.yaml" in completions("%cluster up m")
    assert "notes.txt" not in completions("%cluster up n")
    assert "mine.yaml" not in completions("%cluster up --name ")


@pytest.mark.unit
@pytest.mark.usefixtures("nothing")
def test_without_a_cluster_there_are_no_names() -> None:
    assert completions("%cluster jobs --cancel ") == []
    assert completions("%cluster logs --node ") == []


@pytest.mark.local
def test_names_of_clusters_jobs_nodes_sessions_and_types(cluster: jc.Cluster) -> None:
    cluster.map(abs, [1], name="palettes").results()
    assert "shared" in completions("%cluster down ")
    assert completions("%cluster jobs --cancel ") == ["palettes"]
    assert completions("%cluster jobs shared --delete pal") == ["palettes"]
    assert completions("%cluster jobs --delete ", "nobody") == []
    assert set(completions("%cluster logs --node ")) == {row["id"] for row in cluster.nodes()}
    assert completions("%cluster scale --min-workers ") == ["local="]
    assert completions("%cluster sessions --end ") == []
