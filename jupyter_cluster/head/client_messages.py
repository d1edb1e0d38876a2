"""What a client's messages may hold: checked at the edge, before anything is done with it.

A client of another version, or one with a fault, must cost its own jobs at most.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, Strict, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.resources import MAX_AMOUNT, UNITS
from jupyter_cluster.wire import MAX_TASKS

# Ids of jobs and clients: they become parts of file names.
Name = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Digest = Annotated[str, Strict(), StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Blob = Annotated[bytes, Strict()]
Position = Annotated[int, Strict(), Field(ge=0, le=MAX_TASKS)]
Count = Annotated[int, Strict(), Field(ge=0, le=2**62)]
Range = tuple[Position, Position]
Ranges = list[Range]
PackedBlock = tuple[Position, Count, Blob, Blob]
Key = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}:[0-9]{1,9}$")]
References = list[tuple[Position, list[Key]]]

_Text = Annotated[str, Strict(), StringConstraints(max_length=1000)]
_Units = Annotated[int, Strict(), Field(ge=1, le=MAX_AMOUNT * UNITS)]
_Flag = Annotated[bool, Strict()]


@dataclass(config=ConfigDict(extra="forbid", arbitrary_types_allowed=False))
class _Spec:
    """The fields of a `JobSpec`, with their bounds."""

    id: Name
    name: _Text
    kind: Annotated[str, StringConstraints(pattern="^(map|calls|cell|put)$")]
    client: Name
    fn: Digest | Annotated[str, StringConstraints(max_length=0)] = ""
    unit: _Text = "task"
    shape: list[tuple[_Text, _Units]] = Field(default_factory=list)
    environment: dict[_Text, Annotated[str, Strict()]] = Field(default_factory=dict)
    timeout: Annotated[float, Strict(), Field(gt=0, le=1e10)] | None = None
    max_retries: Annotated[int, Strict(), Field(ge=0, le=2**31)] = 3
    retry_exceptions: _Flag = False
    retry_timeouts: _Flag = False
    nodes: list[_Text] = Field(default_factory=list)
    session: _Text = ""
    values: Name | Annotated[str, StringConstraints(max_length=0)] = ""
    outs: list[_Text] = Field(default_factory=list)


_SPEC = TypeAdapter(_Spec)


def spec_of(given: dict[str, Any]) -> JobSpec:
    """What a client asks for.

    Raises
    ------
    ValidationError
        A field is unknown, of the wrong type or out of bounds.
    """
    checked = vars(_SPEC.validate_python(given))
    fields = {name: checked[name] for name in JobSpec.__dataclass_fields__}
    return JobSpec(**{**fields, "shape": [list(pair) for pair in checked["shape"]]})
