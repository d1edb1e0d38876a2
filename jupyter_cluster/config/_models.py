"""The whole cluster YAML as one model, and what the other rooms ask of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, PrivateAttr, Strict, Tag, model_validator

from jupyter_cluster.config._fill import fill
from jupyter_cluster.config._problems import KeyPath, Problem
from jupyter_cluster.config._sections import (
    Amount,
    Auth,
    AwsProvider,
    Count,
    Docker,
    Flag,
    LocalProvider,
    Minutes,
    Money,
    NodeTypeConfig,
    Provider,
    Python,
    Section,
    Text,
    Texts,
)
from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources

# An idle time-out of "auto" until the autoscaler weighs what a node costs against its boot.

# A worker process that imports the engine by itself needs 1 to 3 s (measured on two cores).
LOCAL_BOOT_SECONDS = 3.0


T = TypeVar("T")


def _or(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value


def _minutes_tag(value: Any) -> str:
    return "auto" if isinstance(value, str) else "minutes"


# A discriminator, so that a wrong value has one error and not one for each alternative.
_Minutes = Annotated[
    Annotated[Minutes, Tag("minutes")] | Annotated[Literal["auto"], Tag("auto")],
    Discriminator(_minutes_tag),
]


class ClusterConfig(Section):
    """A cluster, as its YAML describes it; values cannot be changed.

    Made by `load`, `parse` and `local_config`, which check more than one model can: that names
    are known, that minimums fit and that paths exist. It survives JSON, except for secrets, its
    notices and the origins of its values; two are equal in substance if their `model_dump` is.
    """

    cluster_name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$")] = Field(
        description="Name of the cluster: up to 100 letters, digits, _ and -."
    )
    max_workers: Count = Field(
        2,
        description="Workers of all types together at most; the head is extra. On ssh, left out: "
        "the number of worker_ips.",
    )
    upscaling_speed: Amount | None = Field(
        None,
        description="Pending nodes of a type at most max(5, this × running ones). Left out: as "
        "many at once as the work needs.",
    )
    idle_timeout_minutes: _Minutes = Field(
        5.0,
        description='Minutes that a worker may be idle before it is ended, or "auto": one and a '
        "half times as long as starting it again would take.",
    )
    cluster_idle_timeout_minutes: Minutes = Field(
        30.0,
        description="Minutes without a task and without an active client after which the whole "
        "cluster ends itself; 0: never.",
    )
    setup_timeout_minutes: Annotated[
        float, Strict(), Field(gt=0, le=10_000_000, allow_inf_nan=False)
    ] = Field(
        15.0,
        description="Minutes that a node may take from its request to ready, beside the time in "
        "which files arrive; one that takes longer is ended, and what it was at is named.",
    )
    worker_grace_minutes: Minutes = Field(
        5.0,
        description="Minutes that a worker goes on without its head before it ends itself, on "
        "its own host's word.",
    )
    budget: Money | None = Field(
        None,
        description="USD. At 80 % a warning; at 100 % nothing more is launched, the cluster "
        "drains and ends; results are kept.",
    )
    max_hourly_cost: Money | None = Field(
        None, description="USD per hour that all workers together never exceed."
    )
    provider: Provider = Field(description="Where nodes come from.")
    auth: Auth = Field(default_factory=Auth, description="SSH access to the nodes.")
    docker: Docker = Field(
        default_factory=Docker, description="The container in which tasks run, if any."
    )
    python: Python = Field(default_factory=Python, description="What Python the nodes run.")
    available_node_types: Annotated[dict[str, NodeTypeConfig], Field(min_length=1)] = Field(
        default_factory=dict,
        description="The kinds of node, by name. Left out: one kind that suits the provider.",
    )
    head_node_type: Text = Field(
        "",
        description="Which node type the head is. Required with available_node_types.",
    )
    file_mounts: dict[str, Text] = Field(
        default_factory=dict,
        description="Files and folders to copy to every node: path on the node: path here, "
        "relative to this file.",
    )
    cluster_synced_files: Texts = Field(
        (), description="Paths on the head that are copied to every worker."
    )
    file_mounts_sync_continuously: Flag = Field(
        False, description="Copy changes of file_mounts from the head to the workers as they come."
    )
    rsync_exclude: Texts = Field((), description="Patterns that are not copied to the nodes.")
    rsync_filter: Texts = Field(
        (), description="Names of files with such patterns, e.g. .gitignore."
    )
    initialization_commands: Texts = Field(
        (), description="Shell commands on each host, before its container is started."
    )
    setup_commands: Texts = Field(
        (), description="Shell commands on each node, in its container if there is one."
    )
    head_setup_commands: Texts = Field(
        (), description="Shell commands on the head after setup_commands."
    )
    worker_setup_commands: Texts = Field(
        (), description="Shell commands on each worker after setup_commands."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Anything; kept and not interpreted."
    )

    _origins: Mapping[KeyPath, str] = PrivateAttr(default_factory=dict)
    _notices: tuple[Problem, ...] = PrivateAttr(default=())
    _source: str = PrivateAttr(default="")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        return fill(data)

    @property
    def notices(self) -> tuple[str, ...]:
        """A line for each key that was read but has no meaning here, with file and line."""
        return tuple(map(str, self._notices))

    @property
    def source(self) -> str:
        """The file that it was loaded from, by its absolute path; empty where it was none."""
        return self._source

    def limits(self) -> Limits:
        """What the planner never exceeds."""
        minutes = self.idle_timeout_minutes
        return Limits(
            max_workers=self.max_workers,
            max_hourly_cost=self.max_hourly_cost,
            upscaling_speed=self.upscaling_speed,
            idle_timeout=None if minutes == "auto" else minutes * 60.0,
        )

    def node_types(self, max_workers: int | None = None) -> dict[str, NodeType]:
        """The node types for the autoscaler, by name, as far as this file knows them.

        Where the YAML gives no resources they are empty and the provider fills them in from the
        machine; on ``local`` they are ``{CPU: 1}``. Prices are unknown, 0 on ``local``.

        Parameters
        ----------
        max_workers
            Of all types together, where it is not the file's. A type whose own the file does not
            give may be all of them.
        """
        most = _or(max_workers, self.max_workers)
        return {name: self._node_type(name, most) for name in self.available_node_types}

    def _node_type(self, name: str, most: int) -> NodeType:
        written = self.available_node_types[name]
        known = NodeType(
            name=name,
            resources=Resources.of(written.resources),
            min_workers=written.min_workers,
            max_workers=min(most, _or(written.max_workers, most)),
            spot=written.spot,
        )
        if isinstance(self.provider, LocalProvider):
            return replace(known, price=0.0, boot_seconds=LOCAL_BOOT_SECONDS)
        return known

    def as_json(self, with_secrets: bool) -> str:
        """To be read again by `model_validate_json`.

        Parameters
        ----------
        with_secrets
            With the credentials that the file names; then it is for its owner's eyes alone. A
            cluster's head has a role of its own and gets none.
        """
        data = self.model_dump(mode="json")
        if isinstance(self.provider, AwsProvider):
            secrets = self.provider.aws_credentials.items()
            kept = {name: value.get_secret_value() for name, value in secrets if with_secrets}
            data["provider"]["aws_credentials"] = kept
        return json.dumps(data, indent=1)

    def initialization(self, node_type: str) -> tuple[str, ...]:
        """Commands on a host of this type before its container is started."""
        own = self.available_node_types[node_type].initialization_commands
        return _or(own, self.initialization_commands)

    def worker_docker(self, node_type: str) -> Docker:
        """The docker section as it holds for workers of this type."""
        own = self.available_node_types[node_type].docker
        return self.docker.model_copy(update=own.model_dump(exclude_none=True))

    def head_setup(self) -> tuple[str, ...]:
        """Setup commands of the head: those for all nodes, then its own."""
        return self.setup_commands + self.head_setup_commands

    def worker_setup(self, node_type: str) -> tuple[str, ...]:
        """Setup commands of a worker: its type's own, or those for all nodes, then for workers."""
        own = self.available_node_types[node_type].worker_setup_commands
        return _or(own, self.setup_commands + self.worker_setup_commands)
