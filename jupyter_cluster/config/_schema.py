"""The cluster YAML as JSON Schema, so that editors complete and check it."""

from __future__ import annotations

from typing import Any

from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._ray import IGNORED


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the cluster YAML; each key has its description."""
    made = ClusterConfig.model_json_schema()
    sections = {"provider": "AwsProvider", "available_node_types": "NodeTypeConfig"}
    for path, reason in IGNORED.items():
        section = made["$defs"][sections[str(path[0])]] if len(path) > 1 else made
        section["properties"][str(path[-1])] = {
            "deprecated": True,
            "description": f"A key of Ray's, ignored: {reason}.",
        }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
