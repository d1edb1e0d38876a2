"""The contract between the cluster and whatever gives it machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jupyter_cluster.model import NodeState


@dataclass(frozen=True)
class Instance:
    """A machine of this cluster as its provider sees it.

    Attributes
    ----------
    node_id : str
        The id that the cluster chose for it.
    state : NodeState
        How far it is, as far as the provider can tell.
    detail : str
        For people: an address, a process id, why it failed.
    """

    node_id: str
    node_type: str
    state: NodeState
    detail: str = ""


class Provider(ABC):
    """Gives a cluster its worker nodes and takes them back.

    You provide `create`, `instances` and `terminate`, and `close` where there is something to let
    go of. You get: calls only from worker threads, so that each may block; ids chosen by the
    cluster and written down before the call, so that a crash half-way leaves nothing unknown; the
    limits, cooling down, other types and the final sweep done for you by the cluster.

    Your part beyond the four methods:

    - Methods are called from several threads at the same time.
    - Every machine carries the cluster's id and its node id, from the moment it exists, in a way
      that a new process finds again: as tags, as files, as command lines. `instances` reads that
      and no list kept in memory alone.
    - Wait and try again by yourself when the service asks to slow down. When it goes on asking,
      raise `ProviderError`.

    A provider from another package is registered as an entry point in the group
    ``jupyter_cluster.providers``; the name is what `provider.type` in the cluster YAML says.
    """

    @abstractmethod
    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """Start one machine for each id, and return without waiting until they are up.

        It may start some of them and raise for the rest; `instances` tells which there are. An id
        whose machine exists already is left as it is, so that a call may be repeated.

        Raises
        ------
        CapacityError
            There is none of this type now. The cluster lets the type cool down and takes another.
        QuotaError
            The account may not have more. The cluster tells the user which quota it is, and does
            not try again soon.
        ProviderError
            Anything else, in a sentence for the user.
        """

    @abstractmethod
    def instances(self) -> Sequence[Instance]:
        """All machines of this cluster that are not terminated, in whatever state.

        Stopped and failed ones are listed until they are terminated. A machine that `create` has
        started may be missing for a moment where the service shows it late.

        Raises
        ------
        ProviderError
            The machines cannot be listed. It says nothing about whether there are any.
        """

    @abstractmethod
    def terminate(self, node_ids: Collection[str]) -> None:
        """End these machines for good; ids that are unknown or gone already are no error.

        Raises
        ------
        ProviderError
            Some could not be ended; the call may be repeated with the same ids.
        """

    def close(self) -> None:  # noqa: B027 - most providers have nothing to let go of
        """Let go of connections and files. Ends no machine; may be called twice."""
