"""Where instances are to be had: market by market, zone by zone, and fewer where so many are not.

What is done about which refusal stands in the table of `refusals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jupyter_cluster.errors import CapacityError, ProviderError
from jupyter_cluster.providers.aws.foundation import Subnet
from jupyter_cluster.providers.aws.refusals import Then, refusal
from jupyter_cluster.providers.aws.service import code_of

# How long what had nothing is left alone, as AWS ParallelCluster does.
COOLDOWN = 600.0
_WHOLE_MARKET = ""

# Launches these nodes in a subnet, as spot instances or not; returns how many there are now.
Run = Callable[[list[str], Subnet, bool], int]


@dataclass(frozen=True)
class Wish:
    """Instances that are wanted.

    Attributes
    ----------
    kind : str
        The instance type.
    markets : sequence of bool
        In this order: whether as spot instances.
    """

    node_type: str
    kind: str
    subnets: Sequence[Subnet]
    markets: Sequence[bool]


@dataclass
class Capacity:
    """Looks for room, and remembers where there was none.

    Attributes
    ----------
    clock : callable
        The time in seconds.
    notice : callable
        Takes sentences for the diary.
    """

    clock: Callable[[], float]
    notice: Callable[[str], None]
    _cooling: dict[tuple[str, str, bool], float] = field(default_factory=dict)

    def launch(self, wish: Wish, nodes: Sequence[str], run: Run) -> None:
        """Launch all these nodes.

        Raises
        ------
        CapacityError
            Some are not to be had anywhere; those that were are there.
        ProviderError
            A launch was refused for something that no other place helps against.
        """
        left, refused = list(nodes), list[str]()
        for spot in wish.markets:
            if refused:
                self.notice(
                    f"{wish.node_type}: no spot instances to be had, taking on-demand ones"
                    f" ({'; '.join(dict.fromkeys(refused))})"
                )
            for subnet in wish.subnets:
                if self._is_cooling(wish.node_type, _WHOLE_MARKET, spot):
                    refused.append("no spot instance was allowed a moment ago")
                    break
                if self._is_cooling(wish.node_type, subnet.zone, spot):
                    refused.append(f"{subnet.zone} had no capacity a moment ago")
                    continue
                left = self._fill(wish, left, subnet, spot, run, refused)
                if not left:
                    return
        raise CapacityError("; ".join(dict.fromkeys(refused)), wish.node_type)

    def cool(self, node_type: str, zone: str, spot: bool) -> None:
        """Leave a zone alone for a type, for a while."""
        self._cooling[node_type, zone, spot] = self.clock() + COOLDOWN

    def _is_cooling(self, node_type: str, zone: str, spot: bool) -> bool:
        return self._cooling.get((node_type, zone, spot), 0.0) > self.clock()

    def _fill(
        self,
        wish: Wish,
        nodes: list[str],
        subnet: Subnet,
        spot: bool,
        run: Run,
        refused: list[str],
    ) -> list[str]:
        """Launch as many as there are in one zone; returns the nodes for which it had no room."""
        size = len(nodes)
        while nodes:
            batch = nodes[:size]
            try:
                made = run(batch, subnet, spot)
            except ProviderError as error:
                answer = refusal(code_of(error))
                if answer.then is Then.FEWER and size > 1:
                    size //= 2
                    continue
                zone = subnet.zone if answer.then is Then.ELSEWHERE else _WHOLE_MARKET
                if answer.then is Then.STOP or (zone == _WHOLE_MARKET and not spot):
                    raise
                reason = _reason(wish, subnet, spot, error)
                self.cool(wish.node_type, zone, spot)
                self.notice(f"{wish.node_type}: {reason}, trying elsewhere ({error})")
                refused.append(reason)
                return nodes
            nodes = nodes[made:]
            if made < len(batch):
                refused.append(f"{subnet.zone} had {made} of {len(batch)}")
                break
        return nodes


def _reason(wish: Wish, subnet: Subnet, spot: bool, error: ProviderError) -> str:
    """Why there is none here, in short."""
    code = code_of(error)
    answer = refusal(code)
    if answer.then is not Then.ELSEWHERE:
        return answer.words + " is used up" * answer.is_quota
    if "FreeAddresses" in code:
        return f"{subnet.zone}: subnet {subnet.id} has no free addresses"
    if "Capacity" in code or code == "Unsupported":
        return f"{subnet.zone} has no {'spot ' * spot}{wish.kind} now"
    return f"{subnet.zone}: {answer.words}"
