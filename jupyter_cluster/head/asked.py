"""What a caller of the endpoint may ask: its queries and bodies, checked here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jupyter_cluster.errors import ClusterError

# No cluster has more nodes; what is beyond it is a slip of the pen, and a bill.
MOST_NODES = 100_000
# In ten-thousandths, as the head counts, it still fits 64 bits.
MOST_AMOUNT = 1e14

Nodes = Annotated[int, Field(ge=0, le=MOST_NODES)]
Amount = Annotated[float, Field(ge=0, le=MOST_AMOUNT, allow_inf_nan=False)]
# Unix time, a number of an event, seconds.
Number = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class Asked(BaseModel):
    """A query or a body; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Asked):
    """There is nothing to say."""


class News(Asked):
    """What is new since a number, waited for so many seconds."""

    since: Number = 0.0
    wait: Number = 0.0


class Since(Asked):
    """What is new since a moment."""

    since: Number = 0.0


class Follow(Asked):
    """The stream: after this event and this sample, with so many seconds between two lines."""

    event: Number = 0.0
    sample: Number = 0.0
    pause: Number = 1.0


class Scale(Asked):
    """Limits and requested capacity; what is left out stays as it is.

    Attributes
    ----------
    min_workers : dict
        By node type.
    request : list or None
        Pairs of resources and count, which replace the ones before.
    """

    model_config = ConfigDict(strict=True)

    max_workers: Nodes | None = None
    min_workers: dict[str, Nodes] = Field(default_factory=dict)
    request: list[tuple[dict[str, Amount], Nodes]] | None = None


class EndWorkers(Asked):
    """Whether the workers that are always kept are left."""

    model_config = ConfigDict(strict=True)

    keep_min: bool = False


A = TypeVar("A", bound=Asked)


def read_body(model: type[A], body: bytes) -> A:
    """The JSON of a body.

    Raises
    ------
    ClusterError
        It is none, or not what is asked for there; the message says where and why.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise ClusterError(sentence(error, "the body")) from None


def read_query(model: type[A], arguments: Mapping[str, Sequence[bytes]]) -> A:
    """The arguments of a query; the last one counts where one is given twice.

    Raises
    ------
    ClusterError
        See `read_body`.
    """
    try:
        words = {name: values[-1].decode() for name, values in arguments.items()}
        return model.model_validate(words)
    except UnicodeDecodeError:
        raise ClusterError("the query is not UTF-8") from None
    except ValidationError as error:
        raise ClusterError(sentence(error, "the query")) from None


def sentence(error: ValidationError, what: str) -> str:
    """What is wrong first, and where; `what` names the whole."""
    first, *more = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(str(part) for part in first["loc"]) or what
    text = first["msg"].removeprefix("Input ").removeprefix("Invalid JSON: ")
    others = f" (and {len(more)} more problems)" if more else ""
    return f"{where[:200]}: {text[:1].lower()}{text[1:]}{others}"
