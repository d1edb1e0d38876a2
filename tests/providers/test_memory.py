import doctest
from concurrent.futures import ThreadPoolExecutor

import pytest

from jupyter_cluster.errors import CapacityError, ProviderError, QuotaError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers import memory
from jupyter_cluster.providers.memory import (
    MemoryProvider,
    VirtualClock,
    dies_after,
    never_boots,
    no_capacity,
    quota_exceeded,
    throttled,
)
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

BOX = NodeType("box", Resources.of(CPU=16), boot_seconds=30.0)
TINY = NodeType("tiny", Resources.of(CPU=2), boot_seconds=5.0)


@pytest.fixture
def clock():
    return VirtualClock(1000.0)


@pytest.fixture
def make(clock):
    return lambda *failures: MemoryProvider({"box": BOX, "tiny": TINY}, clock, failures)


def states(provider):
    return {instance.node_id: instance.state for instance in provider.instances()}


def test_machines_boot_in_the_time_of_their_type(make, clock):
    provider = make()
    provider.create("box", ["a"])
    provider.create("tiny", ["b"])
    clock.advance(5.0)
    assert states(provider) == {"a": NodeState.BOOTING, "b": NodeState.READY}
    clock.advance(25.0)
    assert states(provider) == {"a": NodeState.READY, "b": NodeState.READY}


def test_creating_an_id_twice_leaves_the_first_machine(make, clock):
    provider = make()
    provider.create("box", ["a"])
    clock.advance(30.0)
    provider.create("box", ["a", "b"])
    assert states(provider) == {"a": NodeState.READY, "b": NodeState.BOOTING}


def test_terminating_is_for_good_and_may_be_repeated(make):
    provider = make()
    provider.create("box", ["a", "b"])
    provider.terminate(["a", "never-was"])
    provider.terminate(["a"])
    assert list(states(provider)) == ["b"]


def test_an_unknown_type_is_refused_with_the_known_ones(make):
    with pytest.raises(ProviderError, match="lorry: no such node type; there are box, tiny"):
        make().create("lorry", ["a"])


def test_no_capacity_gives_what_there_is_and_then_refuses(make):
    provider = make(no_capacity("box", after=2))
    with pytest.raises(CapacityError, match=r"box: .* at the moment") as caught:
        provider.create("box", ["a", "b", "c"])
    assert caught.value.node_type == "box"
    assert set(states(provider)) == {"a", "b"}
    provider.create("tiny", ["d"])


def test_the_quota_counts_the_cpus_of_all_machines(make):
    provider = make(quota_exceeded(vcpus=20))
    provider.create("box", ["a"])
    provider.create("tiny", ["b", "c"])
    with pytest.raises(QuotaError, match=r"quota is 20 vCPUs, 20 are in use .* needs 2"):
        provider.create("tiny", ["d"])
    provider.terminate(["a"])
    provider.create("tiny", ["d"])


def test_throttled_refuses_so_many_calls_of_any_kind_and_does_nothing(make):
    provider = make(throttled(times=3))
    calls = [
        lambda: provider.create("box", ["a"]),
        provider.instances,
        lambda: provider.terminate(["a"]),
    ]
    for call in calls:
        with pytest.raises(ProviderError, match="try again"):
            call()
    assert states(provider) == {}


def test_never_boots_holds_machines_of_one_type_or_of_all(make, clock):
    one, every = make(never_boots("box")), make(never_boots())
    for provider in (one, every):
        provider.create("box", ["a"])
        provider.create("tiny", ["b"])
    clock.advance(3600.0)
    assert states(one) == {"a": NodeState.BOOTING, "b": NodeState.READY}
    assert set(states(every).values()) == {NodeState.BOOTING}


def test_a_machine_that_died_is_listed_as_failed_until_it_is_terminated(make, clock):
    provider = make(dies_after(60.0))
    provider.create("box", ["a"])
    clock.advance(59.0)
    assert states(provider) == {"a": NodeState.READY}
    clock.advance(1.0)
    [dead] = provider.instances()
    assert (dead.state, dead.detail) == (NodeState.FAILED, "died 60 s after it was created")
    provider.terminate(["a"])
    assert states(provider) == {}


def test_a_failure_can_be_mended(make):
    provider = make(no_capacity("box"))
    with pytest.raises(CapacityError):
        provider.create("box", ["a"])
    provider.failures.clear()
    provider.create("box", ["a"])
    assert set(states(provider)) == {"a"}


def test_calls_from_several_threads_keep_within_the_quota(make):
    provider = make(quota_exceeded(vcpus=100))

    def create(number):
        try:
            provider.create("tiny", [f"n{number}"])
        except QuotaError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(200))) == 50


def test_the_example_in_the_documentation_runs():
    assert doctest.testmod(memory).failed == 0
    assert doctest.testmod(memory).attempted > 0
