"""Options are typed and bounded where they are given, each with a sentence; nothing is started."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy
import pytest

from jupyter_cluster.client import arguments, registry
from jupyter_cluster.client.remote import TaskOptions, checked_options
from jupyter_cluster.client.session import remote
from jupyter_cluster.config import local_config
from jupyter_cluster.errors import ClusterError, UsageError

pytestmark = pytest.mark.unit

NUMBERS = ["2", True, float("nan"), float("inf"), 10**400, [1], 1j]
BAD_OPTIONS = [
    *[{"num_cpus": value} for value in [*NUMBERS, -1, 10**15, 2**62, 1e-9]],
    *[{"num_gpus": value} for value in [*NUMBERS, -1, 10**30, 1.5]],
    *[{"memory": value} for value in [*NUMBERS, -1, 10**30, "2 GB"]],
    *[{"timeout": value} for value in [*NUMBERS, -1, 0, 1e308, 10**30]],
    *[{"max_retries": value} for value in [*NUMBERS, -1, 1.5, 2.0, 2**31, 2**64]],
    *[{"resources": value} for value in [5, "X", [1], {"": 1}, {5: 1}, {"X": None}, {"X": "1"}]],
    *[{"resources": value} for value in [{"X": -1}, {"X": 10**25}, {"\ud800": 1}, {"X" * 999: 0}]],
    *[{"resources": {name: 1}} for name in ("CPU", "GPU", "memory")],
    *[{"retry_exceptions": value} for value in [1, "all", [ValueError()], [int], ValueError()]],
    *[{"on": value} for value in [5, "\ud800", "x" * 999]],
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=lambda options: repr(options)[:60])
def test_an_option_that_cannot_be_is_a_sentence(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        TaskOptions(**options)
    (option,) = options
    text = str(caught.value)
    assert option.removeprefix("num_")[:3].lower() in text.lower(), "it says which option"
    assert 20 < len(text) < 300
    assert text.isprintable()
    assert text.isascii()


def test_none_is_as_good_as_not_given_as_in_ray() -> None:
    options = dict.fromkeys(TaskOptions.__dataclass_fields__)
    assert TaskOptions(**options) == TaskOptions()
    assert TaskOptions(**options).spec() == TaskOptions().spec()
    of_ray = {"name", "num_returns", "runtime_env", "max_calls", "accelerator_type"}
    assert checked_options(dict.fromkeys(of_ray)) == {}
    with pytest.raises(UsageError, match="max_calls is not supported"):
        checked_options({"max_calls": 5})


class Counter:
    """As Ray's users write an actor."""

    def increment(self) -> int:
        return 1


@pytest.mark.parametrize("options", [{}, {"num_cpus": 1}])
def test_a_class_is_refused_where_it_is_decorated(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"actors are not supported") as caught:
        remote(**options)(Counter) if options else remote(Counter)
    assert "put remote on a function" in str(caught.value)


def test_numbers_of_every_kind_are_numbers() -> None:
    given = TaskOptions(
        num_cpus=numpy.int64(2),
        num_gpus=numpy.float32(0.5),
        memory=numpy.int32(1000),
        max_retries=numpy.int8(1),
        timeout=numpy.float64(1.5),
        resources={"X": Fraction(1, 2)},  # type: ignore[dict-item]
    ).spec()
    plain = TaskOptions(
        num_cpus=2, num_gpus=0.5, memory=1000, max_retries=1, timeout=1.5, resources={"X": 0.5}
    ).spec()
    assert given == plain
    assert all(type(value) in (int, float, bool, list) for value in given.values())


def test_exceptions_to_retry_are_named_one_or_many() -> None:
    assert TaskOptions(retry_exceptions=[ValueError, OSError]).retried == (ValueError, OSError)
    assert TaskOptions(retry_exceptions=ValueError).retried == (ValueError,)  # type: ignore[arg-type]
    assert TaskOptions(retry_exceptions=True).retried is None
    for none in (False, [], ()):
        assert TaskOptions(retry_exceptions=none).spec()["retry_exceptions"] is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (float("inf"), None), (5, 5.0), (0, 0.0), (-3.5, 0.0), (1e300, 1e9)],
)
def test_how_long_a_call_waits(value: Any, expected: float | None) -> None:
    assert arguments.patience(value) == expected


@pytest.mark.parametrize("value", ["5", True, float("nan"), [1], 1j])
def test_no_number_of_seconds(value: Any) -> None:
    with pytest.raises(UsageError, match="timeout must be a"):
        arguments.patience(value)


@pytest.mark.parametrize(
    "value", [5, b"x", None, "", " ", "a\x00b", "\ud800", "a\u202eb", "x" * 201]
)
def test_a_name_that_cannot_be(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^name (must|has)"):
        arguments.text("name", value)


def test_a_callable_has_a_title_whatever_it_is() -> None:
    class Odd:
        @property
        def __name__(self) -> str:  # type: ignore[override]
            raise RuntimeError("no name")

    assert arguments.title(len) == "len"
    assert arguments.title(Odd()) == "Odd"
    named = lambda: None  # noqa: E731
    named.__name__ = "A\ud800\x1b[1m"
    assert arguments.title(named) == "A[1m"
    assert arguments.title(type("x" * 999, (), {}), "f") == "x" * arguments.MAX_NAME


LOCAL = [
    *[{"cpus": value} for value in (*NUMBERS, 0, -1, 1.5, 10**30)],
    *[{"cpus_per_node": value} for value in (*NUMBERS, 0, 10**30)],
    *[{"memory_bytes": value} for value in (*NUMBERS, 0, -1)],
    *[{"max_workers": value} for value in (*NUMBERS, -1, 10**30)],
    *[{"idle_timeout_minutes": value} for value in (None, "soon", -1, float("nan"), [1])],
    *[{"cluster_name": value} for value in (None, 5, "", "my cluster", "\ud800", "x" * 300)],
]


@pytest.mark.parametrize("options", LOCAL, ids=lambda options: repr(options)[:60])
def test_a_size_of_a_cluster_here_that_cannot_be_is_a_sentence(options: dict[str, Any]) -> None:
    with pytest.raises(ClusterError) as caught:
        local_config(**options)
    (option,) = options
    assert str(caught.value).startswith("local_config")
    assert option in str(caught.value)
    assert 20 < len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_sizes_may_be_numpys() -> None:
    sizes = {"cpus": numpy.int64(4), "cpus_per_node": numpy.int8(2), "memory_bytes": 8e9}
    config = local_config(**sizes)  # type: ignore[arg-type]
    assert config == local_config(cpus=4, cpus_per_node=2, memory_bytes=8 * 10**9)
    assert config.max_workers == 2


@pytest.mark.parametrize("name", [None, 5, "", "my cluster", "a/b", "\ud800", "\x1b[1m", "x" * 300])
def test_no_name_of_a_cluster(name: Any) -> None:
    with pytest.raises(ClusterError, match="is no name for a cluster") as caught:
        registry.entry(name)
    assert str(caught.value).isprintable()
