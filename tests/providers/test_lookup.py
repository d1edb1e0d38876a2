import sys

import pytest

from jupyter_cluster.errors import ProviderError, UsageError
from jupyter_cluster.providers import Provider, provider_class, provider_names
from jupyter_cluster.providers.memory import MemoryProvider

pytestmark = pytest.mark.unit

MODULE = """
from jupyter_cluster.providers.memory import MemoryProvider

class CupboardProvider(MemoryProvider):
    pass

not_a_provider = 42
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of somebody else that registers providers."""

    def install(**entries):
        info = tmp_path / "cupboard-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cupboard\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        text = "\n".join(["[jupyter_cluster.providers]", *lines])
        (info / "entry_points.txt").write_text(text)
        (tmp_path / "cupboard_provider.py").write_text(MODULE)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("cupboard_provider", None)


def test_built_in_providers_are_named():
    assert {"local", "memory"} <= set(provider_names())


def test_a_built_in_provider_is_found_by_name():
    assert provider_class("memory") is MemoryProvider


def test_a_registered_provider_is_found_and_imported_only_when_asked_for(installed):
    installed(cupboard="cupboard_provider:CupboardProvider")
    assert "cupboard" in provider_names()
    assert "cupboard_provider" not in sys.modules
    found = provider_class("cupboard")
    assert issubclass(found, Provider)
    assert found.__name__ == "CupboardProvider"


def test_a_registered_provider_does_not_replace_a_built_in_one(installed):
    installed(memory="cupboard_provider:CupboardProvider")
    assert provider_class("memory") is MemoryProvider


def test_an_unknown_name_lists_the_known_ones_and_the_entry_point():
    with pytest.raises(
        UsageError, match=r"azure: there is no such provider; .*local, memory.*entry"
    ):
        provider_class("azure")


def test_a_registered_provider_that_cannot_be_imported_says_which_and_why(installed):
    installed(broken="cupboard_of_nobody:Provider")
    with pytest.raises(ProviderError, match=r"provider broken: .*cupboard_of_nobody.*imported"):
        provider_class("broken")


def test_a_registered_thing_that_is_no_provider_is_refused(installed):
    installed(odd="cupboard_provider:not_a_provider")
    with pytest.raises(ProviderError, match=r"provider odd: .* is not a subclass"):
        provider_class("odd")


def test_the_contract_cannot_be_used_half_filled():
    class Half(Provider):
        def create(self, node_type, node_ids):
            pass

    with pytest.raises(TypeError, match="instances"):
        Half()
