"""What the server takes and answers, and what the labextension takes it for, are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_cluster.server.schema import api_schema

pytestmark = pytest.mark.unit

SCHEMA = Path(__file__).parents[2] / "labextension" / "api.schema.json"


def definitions() -> dict[str, Any]:
    made: dict[str, Any] = api_schema()["definitions"]
    return made


def test_the_labextension_has_the_schema_of_this_server() -> None:
    assert json.loads(SCHEMA.read_text()) == api_schema(), (
        f"python -m jupyter_cluster.server.schema {SCHEMA.name} writes it anew, `jlpm types` the"
        " types that come of it"
    )


def test_an_answer_has_all_its_fields_and_a_body_may_leave_out_what_has_a_default() -> None:
    made = definitions()
    assert made["Action"]["required"] == list(made["Action"]["properties"])
    assert "required" not in made["UpRequest"]
    assert made["CheckRequest"]["required"] == ["path", "text"]


def test_a_point_of_the_chart_is_a_pair_of_numbers() -> None:
    points = definitions()["Series"]["properties"]["points"]["items"]
    assert points["items"] == [{"type": "number"}, {"type": "number"}]
