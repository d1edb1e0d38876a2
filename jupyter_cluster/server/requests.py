"""What the server is asked to do: bodies of requests, checked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jupyter_cluster.client.registry import NAME

Name = Annotated[str, Field(pattern=f"^(?:{NAME.pattern})$")]
Count = Annotated[int, Field(ge=0, le=100_000)]


class Body(BaseModel):
    """A body of a request; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", strict=True)


class UpRequest(Body):
    """Start a cluster: from a file, on this machine, or one that has stopped.

    Attributes
    ----------
    file
        A cluster YAML, as the contents manager names it; None for a cluster on this machine.
    name, cpus, max_workers
        Of a cluster on this machine, where not the defaults are meant. The name of one that has
        stopped starts that again.
    kernel
        The name of the kernel whose Python its tasks run; None for the server's default.
    """

    file: str | None = None
    name: Name | None = None
    cpus: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_workers: Count | None = None
    kernel: str | None = None


class ScaleRequest(Body):
    """Change limits while a cluster runs; `min_workers` is by node type."""

    max_workers: Count | None = None
    min_workers: dict[str, Count] | None = None


class CheckRequest(Body):
    """Check the text of a cluster YAML; `path` as the contents manager names it."""

    path: str
    text: Annotated[str, Field(max_length=1_000_000)]


BODIES: tuple[type[Body], ...] = (UpRequest, ScaleRequest, CheckRequest)
