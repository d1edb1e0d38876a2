"""The JSON schema of all that the server takes and answers: the labextension's types come of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from jupyter_cluster.server.answers import ANSWERS
from jupyter_cluster.server.requests import BODIES


class _Schema(GenerateJsonSchema):
    """Says what TypeScript needs and no more: no titles of fields, which would become types."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def api_schema() -> dict[str, Any]:
    """One definition for each answer, each body and what they are made of."""
    answers: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
        (kind.__name__, "serialization", TypeAdapter(kind)) for kind in ANSWERS
    ]
    _, made = TypeAdapter.json_schemas(
        answers, schema_generator=_Schema, ref_template="#/definitions/{model}"
    )
    _, bodies = models_json_schema(
        [(body, "validation") for body in BODIES],
        schema_generator=_Schema,
        ref_template="#/definitions/{model}",
    )
    definitions = {name: _whole(one) for name, one in made["$defs"].items()} | bodies["$defs"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Api",
        "type": "object",
        "definitions": {name: _draft_07(definitions[name]) for name in sorted(definitions)},
    }


def _whole(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer has all its fields, also those that have a default here."""
    fields = {
        name: {key: value for key, value in field.items() if key != "default"}
        for name, field in answer["properties"].items()
    }
    return {**answer, "properties": fields, "required": list(fields)}


def _draft_07(part: Any) -> Any:
    """Tuples in the words of the draft that generators of TypeScript read; texts for developers
    stay out, since a docstring that changes is no change of the interface."""
    if isinstance(part, list):
        return [_draft_07(one) for one in part]
    if not isinstance(part, dict):
        return part
    words = {"prefixItems": "items"}
    kept = {words.get(key, key): _draft_07(value) for key, value in part.items()}
    if isinstance(kept.get("description"), str):
        del kept["description"]
    if part.get("type") == "object" and "properties" in part:
        kept["additionalProperties"] = False
    return kept


def main() -> None:
    """Write the schema to the file that is named."""
    text = json.dumps(api_schema(), indent=2) + "\n"
    Path(sys.argv[1]).write_text(text)


if __name__ == "__main__":
    main()
