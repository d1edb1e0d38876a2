"""The policies: those of the page are those of the code, and what they touch is the cluster's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jupyter_cluster.providers.aws.policies import head_policy, owner_policy
from jupyter_cluster.providers.aws.tags import ID, Owner

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "aws.md"
TOUCHING = ("Terminate", "Stop", "Start", "Delete", "Authorize", "Revoke", "CreateTags")


def test_the_page_has_both() -> None:
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]
    assert found == [owner_policy(), head_policy(Owner("name", "CLUSTER-ID", ""))]


@pytest.mark.parametrize("policy", [owner_policy(), head_policy(Owner("name", "an-id", ""))])
def test_what_changes_something_is_bound_to_the_clusters_tag_or_name(policy: dict) -> None:
    for statement in policy["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            if action.startswith("iam:"):
                assert all(":*:" not in r.rpartition(":")[2] for r in statement["Resource"])
                assert all("jupyter-cluster-" in r for r in statement["Resource"])
            elif any(word in action for word in TOUCHING):
                condition = json.dumps(statement["Condition"])
                assert ID in condition or "ec2:CreateAction" in condition


def test_the_head_touches_its_own_cluster_only() -> None:
    text = json.dumps(head_policy(Owner("name", "an-id", "")))
    assert text.count('"an-id"') == 2
    assert "iam:" not in text


def test_roles_of_workers_are_passed_only_where_there_are_some() -> None:
    policy = head_policy(Owner("name", "an-id", ""), ["arn:aws:iam::1:role/reads"])
    assert policy["Statement"][-1]["Resource"] == ["arn:aws:iam::1:role/reads"]
