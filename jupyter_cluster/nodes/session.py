"""An SSH connection to a node: commands, streams from commands, channels to ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.command import (
    ANSWER_BYTES,
    ANSWER_SECONDS,
    Answer,
    Exchange,
    OnLine,
    OverdueError,
    Tail,
    Who,
    execute,
    stream,
)

WINDOW = 16 * 2**20
PACKET = 2**18
# The code of a command that has not ended in time, as of the program `timeout`; a command may end
# with it by itself.
OVERDUE = 124


class CommandError(SetupError):
    """A command on a node ended with another code than 0; `tail` has its last lines."""

    def __init__(self, message: str, code: int, tail: str = "", stage: str = "") -> None:
        super().__init__(message, stage)
        self.code, self.tail = code, tail


class OverdueCommandError(CommandError):
    """A command did not end in time; `who` it is, where it had begun."""

    def __init__(self, message: str, tail: str, who: Who | None = None) -> None:
        super().__init__(message, OVERDUE, tail)
        self.who = who


class Ssh:
    """A connection; made by `connect`, shared by threads, closed by `close`."""

    def __init__(self, transport: paramiko.Transport, address: str) -> None:
        self._transport = transport
        self.address = address

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as known."""
        return bool(self._transport.is_active())

    def close(self) -> None:
        """End it with all its channels."""
        self._transport.close()

    # -- commands: scripts that `answering` or `endable` have made -----------------------------

    def run(
        self,
        command: str,
        on_line: OnLine | None = None,
        source: Iterable[bytes] = (),
        deadline: float | None = None,
    ) -> None:
        """Run a command in a shell.

        Parameters
        ----------
        on_line
            Takes each line of both its outputs as it comes.
        source
            Is sent to its input.
        deadline
            When it must have ended (monotonic clock); by default it may take as long as it likes.

        Raises
        ------
        CommandError
            It ended with another code than 0, took too long, or was not run at all.
        SetupError
            The connection was lost.
        """
        answer, tail = Answer(), Tail(on_line)

        def take(data: bytes, is_error: bool) -> None:
            if piece := data if is_error else answer.add(data):
                tail.add(piece)

        self._execute(command, Exchange(take, source, deadline), answer, tail)
        tail.end()

    def ask(
        self,
        command: str,
        source: Iterable[bytes] = (),
        deadline: float | None = None,
        on_piece: Callable[[], None] = lambda: None,
    ) -> str:
        """What a command answers on stdout; raises as `run`.

        Parameters
        ----------
        on_piece
            Called when something of the answer has come.
        """
        answer, tail, found = Answer(), Tail(), bytearray()

        def take(data: bytes, is_error: bool) -> None:
            if is_error:
                tail.add(data)
                return
            found.extend(answer.add(data))
            on_piece()
            if len(found) > ANSWER_BYTES:
                raise SetupError(f"{_short(command)!r} on {self.address} answers without end")

        self._execute(command, Exchange(take, source, deadline), answer, tail)
        return found.decode(errors="replace")

    def stream(self, command: str) -> Iterator[bytes]:
        """What a command writes to stdout, piece by piece; raises as `run`."""
        answer, tail = Answer(), Tail()
        try:
            with self.open() as channel:
                for data in stream(channel, command, tail.add):
                    if piece := answer.add(data):
                        yield piece
                code = channel.recv_exit_status()
        except (OSError, EOFError, SSHException) as error:
            raise self._lost(error) from error
        self._check(command, code, answer, tail)

    def _execute(self, command: str, exchange: Exchange, answer: Answer, tail: Tail) -> None:
        try:
            with self.open() as channel:
                code = execute(channel, command, exchange)
        except OverdueError:
            last = tail.last_lines(1) or "nothing"
            raise OverdueCommandError(
                f"{_short(command)!r} on {self.address} did not end in time; the last it"
                f" wrote was: {last}",
                last,
                answer.who,
            ) from None
        except (OSError, EOFError, SSHException) as error:
            raise self._lost(error) from error
        self._check(command, code, answer, tail)

    def _check(self, command: str, code: int, answer: Answer, tail: Tail) -> None:
        if code == -1:
            raise self._lost()
        if code == 0 and not answer.has_begun:
            raise SetupError(_mute(self.address, answer.noise))
        if code:
            raise self._failed(command, code, tail.last_lines() or answer.noise)

    def _failed(self, command: str, code: int, text: str) -> CommandError:
        return CommandError(
            f"{_short(command)!r} on {self.address} ended with code {code}:\n{text}", code, text
        )

    def _lost(self, error: BaseException | None = None) -> SetupError:
        reason = f": {error}" if error is not None and str(error) else ""
        return SetupError(f"the SSH connection to {self.address} was lost{reason}")

    def open(self) -> paramiko.Channel:
        """A channel for one command, or for an interactive shell."""
        return self._transport.open_session(WINDOW, PACKET, timeout=ANSWER_SECONDS)

    def channel(self, host: str, port: int) -> paramiko.Channel:
        """A channel to a port that the node can reach.

        Raises
        ------
        OSError
            The port does not answer, or the connection is lost.
        """
        try:
            return self._transport.open_channel(
                "direct-tcpip",
                (host, port),
                ("127.0.0.1", 0),
                window_size=WINDOW,
                max_packet_size=PACKET,
                timeout=ANSWER_SECONDS,
            )
        except (ChannelException, SSHException, EOFError) as error:
            raise ConnectionError(str(error)) from error


def _mute(address: str, noise: str) -> str:
    said = f"; it printed: {noise[-500:]}" if noise else ""
    return (
        f"the shell on {address} does not run commands: look at what it reads at its start"
        f" (.bashrc, .profile){said}"
    )


def _short(command: str) -> str:
    return command if len(command) <= 200 else command[:197] + "..."
