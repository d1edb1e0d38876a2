"""What comes out of a slot is checked before anything is done with it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from jupyter_cluster.agent.frames import FROM_SLOT_BYTES, ProtocolError, Reader, pack, receive
from jupyter_cluster.agent.reports import read_report
from jupyter_cluster.wire import Block, Status

pytestmark = pytest.mark.unit

GOOD: dict[str, Any] = {
    "finished": False,
    "job": "j",
    "statuses": bytes([Status.OK, Status.ERROR]),
    "block": Block.of(3, [b"abc", b"de"]).pack(),
    "seconds": 0.5,
}


def ends(*positions: int) -> bytes:
    return b"".join(position.to_bytes(8, "little") for position in positions)


def test_results_are_read() -> None:
    report = read_report(GOOD)
    assert report.block is not None
    assert [bytes(item) for item in report.block.items()] == [b"abc", b"de"]
    assert read_report({"finished": True}).finished
    assert read_report({"finished": False, "output": b"[]"}).output == b"[]"


@pytest.mark.parametrize(
    "changed",
    [
        {"finished": None},
        {"finished": 1},
        {"output": "text"},
        {"job": None},
        {"statuses": b"\0"},
        {"statuses": bytes([Status.OK, Status.CRASHED])},
        {"statuses": bytes([Status.OK, 99])},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": "1"},
        {"block": None},
        {"block": [3, 0, ends(3, 5)]},
        {"block": [-1, 0, ends(3, 5), b"abcde"]},
        {"block": [True, 0, ends(3, 5), b"abcde"]},
        {"block": [3, 1, ends(3, 5), b"abcde"]},
        {"block": [3, 0, ends(3, 5)[:-1], b"abcde"]},
        {"block": [3, 0, ends(3, 6), b"abcde"]},
        {"block": [3, 0, ends(9, 5), b"abcde"]},
        {"block": [3, 0, b"", b""], "statuses": b""},
    ],
)
def test_a_report_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        read_report({**GOOD, **changed})


@pytest.mark.parametrize("message", [None, 5, "text", [], {}, b"bytes"])
def test_what_is_no_mapping_of_ours_is_refused(message: Any) -> None:
    with pytest.raises(ProtocolError):
        read_report(message)


@pytest.mark.parametrize(
    "data",
    [
        b"hello, I am a stray print",
        (1 << 62).to_bytes(8, "little") + b"garbage",
        pack(1)[:4] + (FROM_SLOT_BYTES + 1).to_bytes(8, "little"),
        pack(1)[:4] + (4).to_bytes(8, "little") + b"\xc1\xc1\xc1\xc1",
        pack(1)[:4] + (1).to_bytes(8, "little") + b"\x93",
    ],
)
def test_bytes_that_are_no_frame_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Reader().feed(data)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        with pytest.raises(ProtocolError):
            receive(ours, FROM_SLOT_BYTES)
