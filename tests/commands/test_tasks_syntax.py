"""How tasks, durations and shares are written in a line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from jupyter_cluster.commands import parse
from jupyter_cluster.commands.tasks import Tasks, amount, seconds, share, stragglers, tasks
from jupyter_cluster.errors import UsageError
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

ONE = Resources.of(CPU=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("134000x0.4s", Tasks(134_000, 0.4, ONE)),
        ("134_000×0.4", Tasks(134_000, 0.4, ONE)),
        ("1*2min", Tasks(1, 120.0, ONE)),
        ("5x250ms", Tasks(5, 0.25, ONE)),
        ("5x1h@4min", Tasks(5, 3600.0, ONE, 240.0)),
        (
            "500x30s:CPU=4,memory=8GB@240s",
            Tasks(500, 30.0, Resources.of(CPU=4, memory=8e9), 240.0),
        ),
        ("3x1s:GPU=0.5,memory=1GiB", Tasks(3, 1.0, Resources.of(GPU=0.5, memory=2**30))),
    ],
)
def test_tasks_are_read(text: str, expected: Tasks) -> None:
    assert tasks(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("100", "'100' is not COUNTxSECONDS[:RESOURCES][@START], e.g. 134000x0.4s"),
        ("x1s", "is not COUNTxSECONDS"),
        ("5x1parsec", "'1parsec' is not a duration, e.g. 0.4s, 90s, 4min or 2h"),
        ("5x1s@soon", "'soon' is not a duration"),
        ("5x-1s", "'-1s' is not a duration"),
        ("0x1s", "must be more than 0"),
        ("5x0s", "must be more than 0"),
        ("5x1s:CPU", "'CPU' is not RESOURCE=AMOUNT"),
        ("5x1s:CPU=4GB", "'CPU=4GB' is not RESOURCE=AMOUNT"),
        ("5x1s:CPU=0.00001", "'CPU=0.00001' is not RESOURCE=AMOUNT"),
    ],
)
def test_what_cannot_be_read_is_named_with_an_example(text: str, says: str) -> None:
    with pytest.raises(ArgumentTypeError) as error:
        tasks(text)
    assert says in str(error.value)
    with pytest.raises(UsageError, match="--tasks"):
        parse(["simulate", "--tasks", text])


@pytest.mark.parametrize(
    ("kind", "good", "value", "bad"),
    [
        (seconds, "1.5min", 90.0, "late"),
        (share, "0.05", 0.05, "1.5"),
        (amount, "3", 3.0, "-3"),
        (stragglers, "0.01x20", (0.01, 20.0), "0.01"),
        (stragglers, "1x2", (1.0, 2.0), "0.01x0"),
    ],
)
def test_other_values(kind: Callable[[str], object], good: str, value: object, bad: str) -> None:
    assert kind(good) == value
    with pytest.raises(ArgumentTypeError, match=r"e\.g\.|number"):
        kind(bad)


def test_tasks_are_named_as_a_person_would() -> None:
    assert str(tasks("134000x0.4s")) == "134,000 tasks of 0.4 s"
    assert str(tasks("1x90s:GPU=1")) == "1 task of 90 s with {GPU: 1}"


def test_simulate_needs_tasks() -> None:
    with pytest.raises(UsageError, match="--tasks must be given"):
        parse(["simulate", "cluster.yaml"])
