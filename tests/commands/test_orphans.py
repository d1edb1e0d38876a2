"""What gc ends, and what it only shows."""

from __future__ import annotations

import pytest

from jupyter_cluster.commands.orphans import why_spared
from jupyter_cluster.providers.aws.leavings import Leavings
from jupyter_cluster.providers.aws.tags import person

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("is_own", "is_kept", "stopped", "all_owners", "spared"),
    [
        (True, False, False, False, ""),
        (False, False, False, False, "--all-owners"),
        (False, False, False, True, ""),
        (True, True, False, False, "--stopped"),
        (True, True, True, False, ""),
        (False, True, True, False, "--all-owners"),
        (False, True, False, True, "--stopped"),
    ],
)
def test_only_what_is_the_callers_and_keeps_nothing_is_ended_unasked(
    is_own: bool, is_kept: bool, stopped: bool, all_owners: bool, spared: str
) -> None:
    one = Leavings("posters", "an-id", "somebody", is_own=is_own, is_kept=is_kept)
    reason = why_spared(one, stopped, all_owners)
    assert spared in reason
    assert bool(reason) == bool(spared)


def test_what_this_machine_knows_is_shown_with_the_way_to_end_it() -> None:
    one = Leavings("posters", "an-id", "somebody", is_own=True)
    assert why_spared(one, True, True, "posters") == "known here: down posters"


def test_a_person_is_the_same_in_every_session_of_boto3() -> None:
    role = "arn:aws:sts::123456789012:assumed-role/science"
    assert person(f"{role}/botocore-session-1700000000") == person(f"{role}/botocore-session-17")
    assert person(f"{role}/ada@example.org") != person(f"{role}/bo@example.org")
