"""A packing case as JSON: what ``python -m jupyter_cluster.autoscaler plan`` reads and prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from jupyter_cluster.autoscaler.packing import Plan
from jupyter_cluster.errors import UsageError
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

HEAD = "head node"
PAIRS = '; a demand is a pair of a shape and a count, e.g. [{"CPU": 1}, 100]'


def _resources(value: object, check: Any) -> Resources:
    try:
        return Resources.of(check(value))
    except ValueError as error:
        if isinstance(error, ValidationError):
            raise
        raise PydanticCustomError("resources", "{text}", {"text": str(error)}) from None


Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
Shape = Annotated[dict[str, Amount], WrapValidator(_resources)]


class _Part(BaseModel):
    """What is not known is not an error: a case may carry notes."""

    model_config = ConfigDict(strict=False, extra="allow", arbitrary_types_allowed=True)


class _NodeType(_Part):
    resources: Shape
    min_workers: Count = 0
    max_workers: Count | None = None
    price: Amount | None = None


class _FreeNodes(_Part):
    type: str
    free: Shape
    count: Count = 1


class _Head(_Part):
    resources: Shape
    free: Shape | None = None


class Case(_Part):
    """Node types, limits, the nodes that are there, and tasks by shape."""

    node_types: dict[str, _NodeType]
    max_workers: Count
    nodes: dict[str, Count] = Field(default_factory=dict)
    node_free: list[_FreeNodes] = Field(default_factory=list)
    pending: dict[str, Count] = Field(default_factory=dict)
    head: _Head | None = None
    upscaling_speed: Amount | None = None
    max_hourly_cost: Amount | None = None
    demands: list[tuple[Shape, Count]]

    def snapshot(self) -> Snapshot:
        """The case as the planner takes it."""
        return Snapshot(
            now=0.0,
            node_types={name: self._type(name) for name in self.node_types},
            limits=Limits(
                self.max_workers,
                max_hourly_cost=self.max_hourly_cost,
                upscaling_speed=self.upscaling_speed,
            ),
            nodes=tuple(self._nodes()),
            demands=tuple(Demand(shape, count) for shape, count in self.demands),  # type: ignore[arg-type]
            head=self._head(),
        )

    def _type(self, name: str) -> NodeType:
        row = self.node_types[name]
        most = self.max_workers if row.max_workers is None else row.max_workers
        return NodeType(name, _shape(row.resources), row.min_workers, most, row.price)

    def _nodes(self) -> Iterator[Node]:
        for where, counts, state in (
            ("nodes", self.nodes, NodeState.READY),
            ("pending", self.pending, NodeState.BOOTING),
        ):
            for name, count in counts.items():
                resources = self._resources_of(name, where)
                yield from _copies(where, name, state, resources, resources, count)
        for number, row in enumerate(self.node_free):
            where = f"node_free.{number}"
            resources, free = self._resources_of(row.type, where), _shape(row.free)
            if not free.fits(resources):
                raise UsageError(f"{where}: {free} is more than a {row.type} has, {resources}")
            yield from _copies(where, row.type, NodeState.READY, resources, free, row.count)

    def _resources_of(self, name: str, where: str) -> Resources:
        if name not in self.node_types:
            known = ", ".join(self.node_types) or "none"
            raise UsageError(f"{where}: there is no node type {name!r}; there are {known}")
        return _shape(self.node_types[name].resources)

    def _head(self) -> Node | None:
        if self.head is None:
            return None
        resources = _shape(self.head.resources)
        free = resources if self.head.free is None else _shape(self.head.free)
        if not free.fits(resources):
            raise UsageError(f"head.free: {free} is more than the head has, {resources}")
        return Node(HEAD, HEAD, NodeState.READY, resources, free, 0.0)


def read_case(text: str) -> Case:
    """A case from its JSON.

    Raises
    ------
    UsageError
        The text is no JSON, or something is missing or of the wrong kind; says what and where.
    """
    try:
        return Case.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the case"
        hint = PAIRS if first["loc"][:1] == ("demands",) and first["type"] == "tuple_type" else ""
        raise UsageError(f"{where}: {first['msg']}{hint}") from None


def answer(planned: Plan, seconds: float) -> dict[str, Any]:
    """What is printed for a plan.

    ``launch`` by type, minima included; ``unplaced``, every task left over, infeasible ones too;
    ``infeasible``, pairs of a shape and a count; ``cost`` and ``bound`` of what is launched, USD
    per hour; ``seconds`` of planning.
    """
    launch: Counter[str] = Counter()
    for row in planned.purchases:
        launch[row.node_type] += row.count
    infeasible = [[row.shape.as_dict(), row.count] for row in planned.infeasible]
    left = sum(count for _, count in planned.unplaced)
    return {
        "launch": dict(sorted(launch.items())),
        "unplaced": left + sum(row.count for row in planned.infeasible),
        "infeasible": infeasible,
        "cost": round(planned.cost, 9),
        "bound": round(planned.bound, 9),
        "seconds": seconds,
    }


def _shape(value: object) -> Resources:
    assert isinstance(value, Resources)
    return value


def _copies(
    where: str, name: str, state: NodeState, resources: Resources, free: Resources, count: int
) -> Iterator[Node]:
    for number in range(count):
        yield Node(f"{where}-{name}-{number}", name, state, resources, free, 0.0)
