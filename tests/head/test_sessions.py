"""What a client says to the head: taken once, refused with a reason, never the head's own end."""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import no_hang
from raw_client import RawClient, raw_client
from real_head import real_head, said, until

from jupyter_cluster.head import dispatcher, intake, sessions
from jupyter_cluster.head.client_messages import _Spec
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.head.jobs import CALLER_AWAY, CLIENT_AWAY
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.head.service import Head
from jupyter_cluster.identity import identity
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Block, Status

pytestmark = pytest.mark.unit

DIGEST = "0" * 64


def tasks(job: str, start: int = 0, count: int = 1) -> dict[str, Any]:
    block = Block.of(start, [pickle.dumps(number) for number in range(count)])
    return {"op": "tasks", "job": job, "block": block.pack(), "refs": []}


def with_head(
    folder: Path, test: Callable[[Head, RawClient], Awaitable[None]], client: str = "raw"
) -> None:
    async def main() -> None:
        async with real_head(folder) as head, raw_client(folder, client) as raw:
            await raw.hear("welcome")
            await asyncio.wait_for(test(head, raw), 60)

    asyncio.run(main())


def test_the_bounds_are_of_all_fields_of_a_job_and_of_no_others() -> None:
    assert list(_Spec.__dataclass_fields__) == list(JobSpec.__dataclass_fields__)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has failed with a traceback, but for Dask's clearing of its scratch folder."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.exc_info and record.name != "distributed.diskutils"
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_retries": 2**63}, "max_retries"),
        ({"max_retries": "3"}, "max_retries"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retry_exceptions": ["ValueError"]}, "retry_exceptions"),
        ({"shape": [["CPU", -1]]}, "shape"),
        ({"kind": "nonsense"}, "kind"),
        ({"bogus": 1}, "bogus"),
        ({"id": "../../up"}, "id"),
        ({"client": "another"}, "not of the client"),
        ({"kind": "map", "fn": DIGEST}, "the function of job 'values' has not come"),
        ({"environment": {"modules": DIGEST}}, "the modules of job 'values' have not come"),
    ],
)
def test_a_job_that_cannot_be_is_refused_to_itself(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        await raw.say(raw.spec("bad", **fields), raw.spec("good"), tasks("good"))
        problem = await raw.hear("problem", job=fields.get("id", "bad"))
        assert said in problem["text"]
        await raw.hear("taken", job="good", stop=1)
        assert set(head.jobs.by_id) == {"good"}

    with_head(tmp_path, test)


@pytest.mark.parametrize(
    "message",
    [
        {"op": "nonsense", "job": "good"},
        {"op": "tasks", "job": "good", "block": [1, 0, b"12345678", b"x"], "refs": []},
        {"op": "tasks", "job": "good", "block": [0, 0, bytes(8), b"x"], "refs": []},
        {"op": "tasks", "job": "good", "block": [0, 0, bytes(8), b""], "refs": [[9, ["a:0"]]]},
        {"op": "tasks", "job": "good", "block": [0, 0, bytes(8), b""], "refs": [[0, ["nothing"]]]},
        {"op": "cancel", "job": "good", "ranges": [[-1, 2]]},
        {"op": "fetch_stored", "job": "good", "index": 7},
        {"op": "seal", "job": "unknown"},
        {"op": "seal"},
        {"no": "op"},
        {"op": "seal", 7: "good"},
        {"op": "seal", b"job": "good"},
        "no map",
    ],
    ids=str,
)
def test_a_message_that_cannot_be_is_answered_and_costs_nothing_else(
    tmp_path: Path, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        await raw.say(raw.spec("good"), message, tasks("good"))
        await raw.hear("problem")
        await raw.hear("taken", job="good", stop=1)

    with_head(tmp_path, test)
    assert not failures(caplog)


def test_a_job_is_taken_once_it_is_in_the_journal_and_not_again_once_it_was_deleted(
    tmp_path: Path,
) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        await raw.say(raw.spec("job"))
        await raw.hear("taken", job="job", stop=0)
        await raw.say({"op": "delete", "job": "job"})
        await raw.hear("deleted", job="job")
        await raw.say(raw.spec("job"))
        assert "was deleted" in (await raw.hear("problem", job="job"))["text"]
        assert not head.jobs.by_id

    with_head(tmp_path, test)


def test_a_client_that_leaves_calls_whose_refs_it_has_dropped_takes_them_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cancelling the last task deletes the job: that was a KeyError where it was being deleted."""

    async def test(head: Head, raw: RawClient) -> None:
        calls = raw.spec("calls", kind="calls", fn=DIGEST, name="fire and forget")
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, calls, tasks("calls", count=3))
        await raw.say({"op": "seal", "job": "calls"}, raw.spec("other"))
        await raw.say({"op": "release", "job": "calls", "ranges": [[0, 3]]}, {"op": "leave"})
        await until(lambda: not head.sessions.count)
        assert not head.jobs.by_id, "the job beside it goes too"

    with_head(tmp_path, test)
    assert not failures(caplog)


def test_a_client_that_comes_back_goes_on_feeding_without_saying_all_again(tmp_path: Path) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        fed = raw.spec("fed", kind="map", fn=DIGEST)
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, fed, tasks("fed"))
        await raw.hear("taken", job="fed", stop=1)
        head.jobs.seal_client("raw")
        assert head.jobs.by_id["fed"].note == CLIENT_AWAY
        async with raw_client(tmp_path, "another") as another:
            await another.say({"op": "follow", "job": "fed"})
            await another.hear("job")
            assert head.jobs.by_id["fed"].sealed, "somebody who looks on feeds nothing"
        await raw.say({"op": "follow", "job": "fed"}, tasks("fed", start=1))
        await raw.hear("taken", job="fed", stop=2)
        assert not head.jobs.by_id["fed"].sealed

    with_head(tmp_path, test)


def test_calls_of_a_client_that_is_away_say_so_until_it_is_back(tmp_path: Path) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        calls = raw.spec("calls", kind="calls", fn=DIGEST)
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, calls, tasks("calls"))
        await raw.hear("taken", job="calls", stop=1)
        head.jobs.seal_client("raw")
        account = head.jobs.by_id["calls"]
        assert (account.note, account.sealed) == (CALLER_AWAY, False)
        await raw.say({"op": "follow", "job": "calls"}, tasks("calls", start=1))
        await raw.hear("taken", job="calls", stop=2)
        assert account.note == ""

    with_head(tmp_path, test)


@pytest.mark.parametrize("process", ["", "a process of another machine"])
def test_a_client_of_which_nobody_knows_whether_it_runs_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    monkeypatch.setattr(sessions, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(sessions, "SEAL_SECONDS", 0.05)

    async def test(head: Head, raw: RawClient) -> None:
        async with raw_client(tmp_path, "lost", process=process) as lost:
            await lost.say(lost.spec("values"), tasks("values"))
            calls = lost.spec("calls", kind="calls", fn=DIGEST)
            await lost.say({"op": "code", "fn": DIGEST, "code": b""}, calls)
            await lost.hear("taken", job="calls", stop=0)
        await until(lambda: head.jobs.by_id["calls"].note == CALLER_AWAY)
        assert set(head.jobs.by_id) == {"values", "calls"}

    with_head(tmp_path, test)


def test_a_client_whose_process_has_ended_takes_its_calls_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOOK_SECONDS", 0.05)
    ended, start = identity().rsplit(" ", 1)

    async def test(head: Head, raw: RawClient) -> None:
        gone = f"{ended} {int(start) + 1}"
        async with raw_client(tmp_path, "killed", process=gone) as killed:
            await killed.say(killed.spec("values"), tasks("values"))
            await killed.hear("taken", job="values", stop=1)
        await until(lambda: not head.jobs.by_id)

    with_head(tmp_path, test)


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_a_node_works_on_is_not_cancelled_before_its_client_can_come_back(
    tmp_path: Path, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that dies before its journal has a job is followed by one that knows nothing of it."""
    monkeypatch.setattr(dispatcher, "STRANGER_SECONDS", 60 if comes_back else 0.1)

    async def test(head: Head, raw: RawClient) -> None:
        sent: list[dict[str, Any]] = []
        node = NodeLink("n", "local", Resources.of(CPU=2), "tcp://node", 1, sent.append)
        head.dispatcher.nodes["n"] = head.dispatcher._by_address["tcp://node"] = node
        head.dispatcher.on_settled("tcp://node", [["early", 0, 2, 0]])
        cancel = {"op": "jc-cancel", "job": "early", "ranges": [[0, 2]]}
        if not comes_back:
            await until(lambda: sent == [cancel])
            return
        early = raw.spec("early", kind="map", fn=DIGEST)
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, early)
        await raw.hear("taken", job="early", stop=0)
        assert not node.bundles
        await raw.say(tasks("early", count=2))
        await raw.hear("taken", job="early", stop=2)
        assert list(node.bundles) == [("early", 0, 2, 0)]
        assert not sent, "they are neither cancelled nor sent a second time"

    with_head(tmp_path, test)


def test_what_comes_of_unknown_jobs_is_bounded_and_what_was_left_out_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "EARLY_BYTES", 3000)
    monkeypatch.setattr(intake, "EARLY_LEAST", 100)

    async def test(head: Head, raw: RawClient) -> None:
        sent: list[dict[str, Any]] = []
        node = NodeLink("n", "local", Resources.of(CPU=2), "tcp://node", 1, sent.append)
        head.dispatcher.nodes["n"] = head.dispatcher._by_address["tcp://node"] = node
        head.dispatcher.on_settled("tcp://node", [["early", 0, 9, 0]])

        def say(seq: int, start: int, status: Status, size: int) -> None:
            block = Block.of(start, [bytes(size)])
            head.dispatcher._intake.on_results(
                "tcp://node", seq, ["early", 0, 9, 0], bytes([status]), block.pack(), 0.1
            )

        for seq in range(8):
            say(seq, seq, Status.OK, 500 if seq < 5 else 1000)
        say(8, 8, Status.CANCELLED, 0)  # the task at which the node was told to stop
        cancel = {"op": "jc-cancel", "job": "early", "ranges": [[0, 9]]}
        await until(lambda: {"op": "jc-ack", "seqs": [5, 6, 7, 8]} in sent)
        assert cancel in sent
        (warning,) = said(head, "warning")
        assert "their tasks are run again" in warning
        early = raw.spec("early", kind="map", fn=DIGEST)
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, early, tasks("early", count=9))
        await raw.hear("taken", job="early", stop=9)
        head.dispatcher.plan()
        job = head.jobs.by_id["early"]
        assert job.info().done == 5
        # The other four are sent, or wait for it, and nothing believes that the node has them.
        assert job.unfinished == 4
        assert ("early", 0, 9, 0) not in node.bundles

    with_head(tmp_path, test)


def test_nodes_drop_the_code_of_jobs_that_are_over_unless_another_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "CODE_SECONDS", 0.01)
    modules = "1" * 64

    async def test(head: Head, raw: RawClient) -> None:
        sent: list[dict[str, Any]] = []
        node = NodeLink("n", "local", Resources.of(CPU=2), "tcp://node", 1, sent.append)
        node.sent = {DIGEST, modules, "2" * 64}
        head.dispatcher.nodes["n"] = node
        await raw.say({"op": "code", "fn": DIGEST, "code": b""})
        await raw.say({"op": "modules", "digest": modules, "archive": b""})
        for name in ("first", "second"):
            fields = {"environment": {"modules": modules}} if name == "first" else {}
            await raw.say(raw.spec(name, kind="map", fn=DIGEST, **fields))
            await raw.hear("taken", job=name)
        drops = [{"op": "jc-drop-code", "digests": [digest]} for digest in (modules, DIGEST)]
        await raw.say({"op": "seal", "job": "first"})
        await until(lambda: drops[0] in sent)
        assert node.sent == {DIGEST, "2" * 64}
        await raw.say({"op": "cancel", "job": "second", "ranges": None}, {"op": "leave"})
        await until(lambda: drops[1] in sent)
        assert sent == drops

    with_head(tmp_path, test)


def test_why_an_argument_has_no_value_is_read_beside_the_loop_or_said_to_be_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_words: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def test(head: Head, raw: RawClient) -> None:
        bad = raw.spec("bad", kind="map", fn=DIGEST)
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, bad, tasks("bad"))
        await raw.hear("taken", job="bad", stop=1)
        head.jobs.fail(head.jobs.get("bad"), 0, 1, "it is odd")
        await head.journal.flushed()
        at_once: list[str] = []
        head.journal._reader.set_trace_callback(at_once.append)

        async def why(name: str) -> bytes:
            needs = {**tasks(name), "refs": [[0, ["bad:0"]]]}
            await raw.say(raw.spec(name, kind="map", fn=DIGEST), needs)
            await raw.say({"op": "fetch", "job": name, "ranges": [[0, 1]]})
            results = await raw.hear("results", job=name)
            assert results["statuses"] == bytes([Status.ERROR])
            return bytes(Block.unpack(results["block"]).item(0))

        assert b"it is odd" in await why("next")
        assert not at_once, "nothing is read on the loop"
        find = head.jobs.results.find
        monkeypatch.setattr(head.jobs.results, "find", unreadable)
        reading = asyncio.ensure_future(why("third"))
        await until(lambda: "third" in head.jobs.by_id and not head.jobs.by_id["third"].unfinished)
        monkeypatch.setattr(head.jobs.results, "find", find)
        assert b"cannot be read: OperationalError: disk I/O error" in await reading

    with_head(tmp_path, test)


def test_a_node_that_names_more_tasks_than_there_are_does_not_hold_the_head_up(
    tmp_path: Path,
) -> None:
    async def test(head: Head, raw: RawClient) -> None:
        node = NodeLink("n", "local", Resources.of(CPU=2), "tcp://node", 1, lambda _message: None)
        head.dispatcher.nodes["n"] = head.dispatcher._by_address["tcp://node"] = node
        first, second = (raw.spec(name, kind="map", fn=DIGEST) for name in ("first", "second"))
        await raw.say({"op": "code", "fn": DIGEST, "code": b""}, first, tasks("first"))
        await raw.say(second, {**tasks("second"), "refs": [[0, ["first:0"]]]})
        await raw.hear("taken", job="second", stop=1)
        with no_hang(30):
            key = ["second", 0, 2**53, 0]
            head.dispatcher.on_returned("tcp://node", [key], [(key, 5, 2**53)])

    with_head(tmp_path, test)
