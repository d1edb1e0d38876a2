"""What a cell prints and displays, on its way to the agent: in order, in batches, bounded.

An *event* is a plain mapping with a ``type``, after the messages of a Jupyter kernel:

``stream`` (``name``, ``text``), ``display`` (``data``, ``metadata``, ``transient``, ``update``),
``clear`` (``wait``), ``result`` (``data``, ``metadata``: the last expression), ``error``
(``name``, ``message``, ``traceback``), ``note`` (``text``: of ours, not of the user's code), and,
from the agent, ``begin`` (``node``) and ``end`` (``seconds``).

A batch of events travels as JSON, which agent and head pass on without looking into it.

A flood is bounded here, at its source: a notebook that takes a million lines is of no use any
more. A burst passes whole; beyond it the newest lines are sent once a second, each time with how
much was left out before them.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

Event = dict[str, Any]

# How long events gather. A kernel sends its own output on five times a second.
GATHER_SECONDS = 0.05
# Bytes of text that pass at once, and how many more each second. A Jupyter server cuts off what
# is more than 1 MB/s over three seconds (ServerApp.iopub_data_rate_limit).
TEXT_BURST, TEXT_RATE = 2_000_000, 20_000
DISPLAY_BURST, DISPLAY_RATE = 50_000_000, 1_000_000
# What is kept of a flood, and how often it is shown.
TAIL_BYTES = 16_000
TAIL_SECONDS = 1.0


def encode(events: list[Event]) -> bytes:
    """A batch as it travels."""
    return json.dumps(events, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What JSON does not know, in a form that it does: numbers of numpy, bytes of a picture."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    for convert in ("tolist", "isoformat"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    return str(value)


class Allowance:
    """So many bytes at once, and so many more each second."""

    def __init__(self, burst: int, rate: int, now: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._now = burst, rate, now
        self._left, self._since = float(burst), now()

    def take(self, size: int) -> bool:
        """Use so many; False where there are not enough."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if size > self._left:
            return False
        self._left -= size
        return True


class Output:
    """Collects the events of one cell.

    Parameters
    ----------
    send
        Takes an encoded batch; called from more than one thread, but not at the same time.
    """

    def __init__(
        self, send: Callable[[bytes], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._now = now
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._has_some = threading.Event()
        self._ended = False
        self._text = Allowance(TEXT_BURST, TEXT_RATE, now)
        self._displays = Allowance(DISPLAY_BURST, DISPLAY_RATE, now)
        self._events: list[Event] = []
        self._size = 0  # of the text among them
        self._left_out = [0, 0]  # lines and bytes before the first of them
        self._flooded = -TAIL_SECONDS
        threading.Thread(target=self._send_on, name="cell output", daemon=True).start()

    @property
    def is_ours(self) -> bool:
        """Whether this process may send: one that the cell has forked may not."""
        return not self._ended and os.getpid() == self._process

    def write(self, name: str, text: str) -> None:
        """Text on a stream."""
        with self._lock:
            last = self._events[-1] if self._events else None
            if last is not None and last["type"] == "stream" and last["name"] == name:
                last["parts"].append(text)
            else:
                self._events.append({"type": "stream", "name": name, "parts": [text]})
            self._size += len(text)
            if self._size > TEXT_BURST + TAIL_BYTES:
                self._keep_tail()
        self._has_some.set()

    def display(self, event: Event) -> None:
        """Something rich; an update takes the place of one that has not been sent yet."""
        size = len(encode([event]))
        with self._lock:
            if not self._displays.take(size):
                text = f"[an output of {size / 1e6:.1f} MB was left out: there are too many]"
                event = {"type": "note", "text": text}
            elif event.get("update") and self._replace(event):
                return
            self._events.append(event)
        self._has_some.set()

    def _replace(self, event: Event) -> bool:
        shown = event["transient"].get("display_id")
        for other in self._events:
            if other["type"] == "display" and other["transient"].get("display_id") == shown:
                other["data"], other["metadata"] = event["data"], event["metadata"]
                return True
        return False

    def clear(self, wait: bool) -> None:
        """Forget what the cell has shown so far."""
        with self._lock:
            self._events = [{"type": "clear", "wait": wait}]
            self._size, self._left_out = 0, [0, 0]
        self._has_some.set()

    def add(self, event: Event) -> None:
        """An event that is neither bounded nor merged."""
        with self._lock:
            self._events.append(event)
        self._has_some.set()

    def flush(self) -> None:
        """Send what has gathered, now."""
        with self._lock:
            self._flush(is_last=True)

    def end(self) -> None:
        """Send the rest; what comes later is not part of the cell."""
        with self._lock:
            self._flush(is_last=True)
            self._ended = True
        self._has_some.set()

    def _flush(self, is_last: bool) -> None:
        if not self._events or not self.is_ours:
            return
        if self._size and not self._text.take(self._size):
            if not is_last and self._now() - self._flooded < TAIL_SECONDS:
                return
            self._flooded = self._now()
            self._keep_tail()
        events = [_finished(event) for event in self._events]
        if self._left_out[1]:
            events.insert(0, _gap(*self._left_out))
        self._events, self._size, self._left_out = [], 0, [0, 0]
        self._send(encode(events))

    def _keep_tail(self) -> None:
        """Leave out the oldest text, up to the beginning of a line; displays stay."""
        excess = self._size - TAIL_BYTES
        for event in [e for e in self._events if e["type"] == "stream"]:
            if excess <= 0:
                return
            text = "".join(event["parts"])
            cut = text.find("\n", excess - 1) + 1 if excess < len(text) else len(text)
            cut = cut or len(text)
            event["parts"] = [text[cut:]]
            self._left_out[0] += text.count("\n", 0, cut)
            self._left_out[1] += cut
            self._size -= cut
            excess -= cut
            if cut == len(text):
                self._events.remove(event)

    def _send_on(self) -> None:
        while not self._ended:
            self._has_some.wait()
            self._has_some.clear()
            time.sleep(GATHER_SECONDS)
            try:
                with self._lock:
                    self._flush(is_last=False)
                    if self._events:  # a flood: the next tail is due later
                        self._has_some.set()
            except OSError:
                return  # the agent is gone; the main thread notices by itself


def _finished(event: Event) -> Event:
    if event["type"] != "stream":
        return event
    return {"type": "stream", "name": event["name"], "text": "".join(event["parts"])}


def _gap(lines: int, size: int) -> Event:
    what = f"{lines:,} lines ({_amount(size)})" if lines else f"{_amount(size)} of one line"
    return {"type": "note", "text": f"[… {what} were left out …]"}


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1000))} kB"


class Stream(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr` while a cell runs.

    What is written when none runs, or by a process that the cell has forked, goes to the
    descriptor, as it would without this.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.output: Output | None = None
        self._descriptor = descriptor
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes a text, not {type(text).__name__}")
        output = self.output
        if output is not None and output.is_ours:
            output.write(self.name, text)
        else:
            os.write(self._descriptor, text.encode(errors=self.errors))
        return len(text)

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


class _Bytes(io.RawIOBase):
    """The binary side of a stream, for those who write bytes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data).decode(errors="backslashreplace"))
        return len(data)
