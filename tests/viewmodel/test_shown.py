"""The views that the labextension's tests draw are those that the server sends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from shown import FILE, shown

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_labextension_draws_in_its_tests_what_the_server_sends() -> None:
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(shown())), (
        "python tests/shown.py writes it anew"
    )
