"""What comes to the endpoint from outside is checked at the edge: a sentence and 4xx, never 500."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from real_head import ask, real_head, said

from jupyter_cluster.trust import Role

pytestmark = pytest.mark.unit

BAD_BODIES = [
    ("scale", b"[]", "the body: should be an object"),
    ("scale", b"null", "the body: should be an object"),
    ("scale", b"{", "the body: "),
    ("scale", b"\xff", "the body: "),
    ("scale", b"[" * 100_000, "the body: recursion limit exceeded"),
    ("scale", b'{"max_workers": "x"}', "max_workers: should be a valid integer"),
    ("scale", b'{"max_workers": true}', "max_workers: should be a valid integer"),
    ("scale", b'{"max_workers": 1e400}', "max_workers: "),
    ("scale", b'{"max_workers": NaN}', "max_workers: "),
    ("scale", b'{"max_workers": -5}', "max_workers: should be greater than or equal to 0"),
    ("scale", b'{"max_workers": 99999999999999999999}', "max_workers: should be less than"),
    ("scale", b'{"requests": 5}', "requests: extra inputs are not permitted"),
    ("scale", b'{"request": 5}', "request: should be a valid"),
    ("scale", b'{"request": [[{"CPU": 1e300}, 1]]}', "request.0.0.CPU: should be less than"),
    ("scale", b'{"request": [[{"CPU": 0.00001}, 1]]}', "request: resource CPU"),
    ("scale", b'{"min_workers": {"local": "1"}}', "min_workers.local: should be a valid integer"),
    ("scale", b'{"min_workers": {"no": 1}}', "there is no node type 'no'; there are: local"),
    ("end-workers", b"[]", "the body: should be an object"),
    ("end-workers", b'{"keep_min": 1}', "keep_min: should be a valid boolean"),
    ("down", b'{"now": 1}', "now: extra inputs are not permitted"),
    ("jobs/x/cancel", b"[1]", "the body: should be an object"),
]
BAD_QUERIES = [
    ("events?since=nan", "since: should be a finite number"),
    ("events?since=inf", "since: should be"),
    ("events?since=0&wait=nan", "wait: should be a finite number"),
    ("events?since=-1", "since: should be greater than or equal to 0"),
    ("events?since=", "since: should be a valid number"),
    ("events?until=3", "until: extra inputs are not permitted"),
    ("events?since=%ff", "the query is not UTF-8"),
    ("logs?since=1e999&wait=1", "since: should be"),
    ("stream?event=nan", "event: should be a finite number"),
    ("stream?pause=nan&sample=nan", "sample: should be a finite number"),
    ("series?since=nan", "since: should be a finite number"),
    ("status?x=1", "x: extra inputs are not permitted"),
    ("nodes/..%2f..%2fcluster.json/log", "this cluster has no node '../../cluster.json'"),
]


def test_a_bad_request_is_answered_by_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            limits = head.targets.limits
            for path, body, sentence in BAD_BODIES:
                status, answer = await asyncio.to_thread(ask, tmp_path, "POST", f"/v1/{path}", body)
                assert (status, answer["error"][: len(sentence)]) == (400, sentence), body[:40]
            for path, sentence in BAD_QUERIES:
                status, answer = await asyncio.to_thread(ask, tmp_path, "GET", f"/v1/{path}")
                assert (status, answer["error"][: len(sentence)]) == (400, sentence), path
            for method, path, wanted in (
                ("GET", "/nope", (404, {"error": "there is no /nope"})),
                ("POST", "/", (404, {"error": "there is no /"})),
                ("PUT", "/v1/jobs", (405, {"error": "PUT /v1/jobs: Method Not Allowed"})),
                ("GET", "/v1/jobs/no", (404, {"error": "there is no job 'no'; there are: none"})),
                ("GET", "/v1/jobs/%ff%fe", (400, {"error": "GET /v1/jobs/%ff%fe: Bad Request"})),
            ):
                assert await asyncio.to_thread(ask, tmp_path, method, path) == wanted
            status, answer = await asyncio.to_thread(
                ask, tmp_path, "GET", "/nope", None, Role.AGENT
            )
            assert (status, "caller's role is agent" in answer["error"]) == (403, True)
            assert head.targets.limits == limits
            assert not said(head, "error")

    asyncio.run(main())
    assert not [record for record in caplog.records if record.exc_info]
