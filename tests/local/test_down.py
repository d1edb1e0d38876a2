"""`jc.down` ends what it is told to end, and no other cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

import jupyter_cluster as jc
from jupyter_cluster.cli import main
from jupyter_cluster.client import registry
from jupyter_cluster.errors import NoClusterError, RegistryError

pytestmark = pytest.mark.local


def test_down_without_a_name_ends_the_one_at_hand_and_no_other(home: Path) -> None:
    precious = jc.up(name="precious", cpus=1)
    jc.up(name="mine", cpus=1)
    jc.down()
    with pytest.raises(NoClusterError, match=r'no cluster is at hand; jc\.down\("precious"\) ends'):
        jc.down()
    jc.up(name="mine", cpus=1)
    assert main(["down", "mine", "-y"]) == 0
    with pytest.raises(NoClusterError, match=r"'mine' has ended; jc\.down\(\"precious\"\) ends"):
        jc.down()
    assert main(["up", "--name", "mine", "--cpus", "1"]) == 0  # another one of the same name
    with pytest.raises(NoClusterError, match=r"'mine' has ended; jc\.down\(\"mine\"\) or"):
        jc.down()
    assert registry.entry("mine").is_alive
    jc.down("mine")
    assert precious.is_alive
    with pytest.raises(RegistryError, match="there is no cluster 'nosuch'"):
        jc.down("nosuch")
    jc.down("precious")
    jc.shutdown()
    with pytest.raises(NoClusterError, match=r"no cluster is at hand$"):
        jc.down()  # and none is started for it
    assert not registry.entries()
