"""What agents say, checked before any of it counts: a handler never sees what it cannot mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from jupyter_cluster.wire import Block, Status

_MOST = 2**53
_SIZE_DIGITS = 15
# What is in a list may come as a tuple; what is a number never comes as a text.
_Whole = Annotated[int, Strict()]
_Count = Annotated[_Whole, Field(ge=0, le=_MOST)]
_Some = Annotated[_Whole, Field(ge=1, le=_MOST)]
_Amount = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Seconds = Annotated[float, Strict(), Field(ge=0, le=_MOST, allow_inf_nan=False)]
_Text = Annotated[str, Strict()]
_Name = Annotated[_Text, Field(max_length=1000)]
_Data = Annotated[bytes, Strict()]
_Flag = Annotated[bool, Strict()]
_Key = tuple[_Name, _Count, _Count, _Count]
_Packed = tuple[_Count, _Count, _Data, _Data]
_STATUSES = bytes(status for status in Status if status is not Status.LOST)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Hello(_Message):
    protocol: _Whole
    node: _Name
    type: _Name
    resources: dict[_Name, _Count]
    pid: _Count
    stored: list[_Name]
    sessions: list[_Name]


class Settled(_Message):
    bundles: list[_Key]
    jobs: list[_Name] = []


class Results(_Message):
    seq: _Count
    key: _Key
    statuses: _Data
    block: _Packed
    seconds: _Seconds


class Values(_Message):
    seq: _Count
    job: _Name
    statuses: _Data
    block: _Packed


class Output(_Message):
    seq: _Count
    key: _Key
    number: _Count
    data: _Data


class Ended(_Message):
    key: _Key
    busy: _Count


class Returned(_Message):
    keys: list[_Key]
    parts: list[tuple[_Key, _Count, _Count]]


class Lines(_Message):
    lines: list[tuple[_Seconds, _Text, _Count, _Text, _Text]]


class Usage(_Message):
    cpu: _Seconds
    memory: _Count


class SessionEnd(_Message):
    seq: _Count
    session: _Name
    why: _Text
    was_busy: _Flag


class Notice(_Message):
    when: _Name


class Pressure(_Message):
    why: _Name


class _OfDask(BaseModel):
    """What Dask's own agent says; it says more than is looked at here."""

    model_config = ConfigDict(extra="allow")


class Bandwidth(_OfDask):
    total: _Amount
    workers: dict[_Name, tuple[_Amount, _Some]]
    types: dict[_Name, tuple[_Amount, _Some]]


class Spilled(_OfDask):
    memory: _Count


class Metrics(_OfDask):
    bandwidth: Bandwidth
    digests_total_since_heartbeat: dict[Any, _Amount]
    memory: _Count
    spilled_bytes: Spilled


class Heartbeat(_OfDask):
    address: _Name
    now: _Seconds
    metrics: Metrics
    # An agent runs no Dask tasks, and has no extension of Dask.
    resources: Annotated[dict[_Name, _Amount], Field(max_length=0)] | None = None
    host_info: Annotated[dict[_Name, Any], Field(max_length=0)] | None = None
    executing: Annotated[dict[_Name, Any], Field(max_length=0)] | None = None
    extensions: Annotated[dict[_Name, Any], Field(max_length=0)] | None = None


class Registration(Heartbeat):
    status: Literal["running", "paused", "init"]
    server_id: _Name
    name: _Name
    nthreads: _Count
    memory_limit: _Count | None
    pid: _Count
    services: dict[_Name, _Count]
    local_directory: _Text
    versions: dict[_Name, Any]
    nanny: _Name | None
    stimulus_id: _Name


_KINDS: dict[str, type[BaseModel]] = {
    "jc-hello": Hello,
    "jc-settled": Settled,
    "jc-results": Results,
    "jc-values": Values,
    "jc-output": Output,
    "jc-ended": Ended,
    "jc-returned": Returned,
    "jc-lines": Lines,
    "jc-usage": Usage,
    "jc-session-end": SessionEnd,
    "jc-notice": Notice,
    "jc-pressure": Pressure,
    "register-worker": Registration,
    "heartbeat_worker": Heartbeat,
}


def check(operation: str, message: dict[str, Any]) -> None:
    """Whether a message of an agent can mean something.

    Raises
    ------
    ValueError
        It cannot; the text says where and why.
    """
    try:
        _KINDS[operation].model_validate(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the message"
        raise ValueError(f"{where[:200]}: {first['msg']}") from None
    _check_keys(message)
    if "block" in message:
        _check_results(Block.unpack(message["block"]), message)


def _check_keys(message: dict[str, Any]) -> None:
    single = [message["key"]] if "key" in message else []
    for _job, start, stop, _attempt in (*single, *message.get("keys", ())):
        if start >= stop:
            raise ValueError(f"key: a bundle from {start} to {stop}")
    for (_job, first, last, _attempt), start, stop in message.get("parts", ()):
        if not first <= start < stop <= last:
            raise ValueError(f"parts: {start} to {stop} of a bundle from {first} to {last}")


def _check_results(block: Block, message: dict[str, Any]) -> None:
    statuses = message["statuses"]
    if len(statuses) != len(block):
        raise ValueError(f"statuses: {len(statuses)} of {len(block)} tasks")
    if statuses.strip(_STATUSES):
        raise ValueError("statuses: there is no such status")
    if "key" in message and not message["key"][1] <= block.start <= block.stop <= message["key"][2]:
        raise ValueError("block: it is not of the bundle that the key names")
    at = statuses.find(Status.STORED)
    while at >= 0:
        size = bytes(block.item(block.start + at))
        if not size.isdigit() or len(size) > _SIZE_DIGITS:
            raise ValueError("block: a stored result has no size")
        at = statuses.find(Status.STORED, at + 1)
