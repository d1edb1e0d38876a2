"""What a slot may say, checked where it comes in: user code has touched it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.agent.frames import ProtocolError
from jupyter_cluster.wire import Block, Status

# How a task ends for its slot; of system failures the agent knows.
_STATUSES = {Status.OK, Status.ERROR, Status.FINAL, Status.STORED, Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class Report:
    """A message of a slot.

    Attributes
    ----------
    finished : bool
        The bundle has ended; the slot can have another one.
    output : bytes or None
        What a cell has shown.
    block : Block or None
        Results, of this job and with these statuses, that took so many seconds.
    """

    finished: bool
    output: bytes | None = None
    job: str = ""
    statuses: bytes = b""
    block: Block | None = None
    seconds: float = 0.0


def read_report(message: Any) -> Report:
    """A slot's message.

    Raises
    ------
    ProtocolError
        It is none.
    """
    if not isinstance(message, dict) or not isinstance(message.get("finished"), bool):
        raise ProtocolError("a message that is no report")
    finished, output = message["finished"], message.get("output")
    if output is not None and not isinstance(output, bytes):
        raise ProtocolError("output that is no text")
    if "block" not in message:
        return Report(finished, output)
    job, statuses, seconds = (message.get(name) for name in ("job", "statuses", "seconds"))
    if not isinstance(job, str) or not isinstance(statuses, bytes):
        raise ProtocolError("results without a job or statuses")
    if not isinstance(seconds, float) or not math.isfinite(seconds) or seconds < 0:
        raise ProtocolError("results without their seconds")
    block = _read_block(message["block"])
    if len(block) != len(statuses) or not set(statuses) <= _STATUSES:
        raise ProtocolError("results without their statuses")
    return Report(finished, output, job, statuses, block, seconds)


def _read_block(packed: Any) -> Block:
    try:
        block = Block.unpack(packed)
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    if type(block.start) is not int or block.start < 0 or block.base != 0 or not len(block):
        raise ProtocolError("results that are no block")
    return block
