"""The contract between the cluster and whatever gives it machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.model import NodeState, NodeType

# The node id of a head that is a machine of its own.
HEAD_NODE = "head"


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
    address, external_address : str
        Where the cluster's other nodes and where its user reach it; empty as long as unknown.
    machine : str
        The provider's own name for it.
    on_demand : bool
        Whether it is none of the spot instances that its type asks for, and costs more.
    progressed : float
        When something of what its set-up sends has last arrived, as a Unix time; 0 where that is
        not known. As long as it goes on, the time for its set-up does not run out.
    """

    node_id: str
    node_type: str
    state: NodeState
    detail: str = ""
    address: str = ""
    external_address: str = ""
    machine: str = ""
    on_demand: bool = False
    progressed: float = 0.0


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

    Attributes
    ----------
    on_notice : callable
        Takes a sentence for the cluster's diary, e.g. that a zone has no room; set by the cluster.
    """

    on_notice: Callable[[str], None] = staticmethod(lambda _text: None)

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

    def why_gone(self, node_ids: Collection[str]) -> dict[str, str]:
        """Why machines are gone that nobody here has ended, as far as the provider tells it.

        Raises
        ------
        ProviderError
            It cannot be asked.
        """
        return {}

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """The node types with what only the provider knows: resources left out, prices.

        Raises
        ------
        ProviderError
            A type cannot be had here.
        """
        return dict(known)

    def note(self, status: str, node_ids: Collection[str]) -> None:  # noqa: B027 - most need not
        """Write how far nodes are to where the provider's own users look, e.g. into tags."""

    def renew(self) -> None:  # noqa: B027 - most need not
        """Called now and then while the cluster is looked after."""

    def end_head(self, keep_disk: bool) -> None:  # noqa: B027 - where the head is no machine
        """The cluster has ended itself: stop the head's own machine, or end it for good."""

    def close(self) -> None:  # noqa: B027 - most providers have nothing to let go of
        """Let go of connections and files. Ends no machine; may be called twice."""


class HostProvider(Provider):
    """Gives bare hosts that are reached by SSH; the cluster sets them up, the head's among them.

    Its machines include the head, whose node id is `HEAD_NODE`.
    """

    @classmethod
    @abstractmethod
    def of(
        cls, config: ClusterConfig, identity: Mapping[str, Any], user_data: Mapping[str, str]
    ) -> HostProvider:
        """Made for a cluster.

        Parameters
        ----------
        identity
            ``name``, ``id`` and ``owner`` of the cluster; the id is its own for ever.
        user_data
            Shell scripts that a ``head`` and a ``worker`` run at their first boot.
        """

    def survey(self) -> tuple[dict[str, NodeType], list[str]]:
        """Before anything is made: the node types with their prices, and what is scarce.

        Raises
        ------
        ProviderError
            The cluster could not be launched here.
        """
        return {}, []

    def owner(self) -> str:
        """Who acts here, as the provider knows them; empty where it knows nobody."""
        return ""

    def home(self) -> dict[str, str]:
        """Where a cluster is made, by words for people, e.g. its region: it cannot move from there.

        Raises
        ------
        ProviderError
            Nobody can be asked.
        """
        return {}

    def elder_head(self) -> Instance | None:
        """The head of another cluster with this name and owner that was there before this one's.

        Raises
        ------
        ProviderError
            Nobody can be asked.
        """
        return None

    @abstractmethod
    def prepare(self, public_key: str, progress: Callable[[str], None]) -> None:
        """Before the first host: make what hosts need. May be called again."""

    @abstractmethod
    def create_head(self, noted: float) -> None:
        """Launch the head's host; the same `noted` moment never makes a second one."""

    @abstractmethod
    def start_head(self) -> None:
        """Start a head's host that has stopped."""

    @abstractmethod
    def stop_head(self) -> None:
        """Stop the head's host and keep its disk."""

    @abstractmethod
    def open_ssh(self) -> Sequence[str]:
        """Let SSH in from where this is called; returns the networks from which it is let in."""

    @abstractmethod
    def check_release(self) -> None:
        """Ask whether `release` may end the hosts, without ending any.

        Raises
        ------
        ProviderError
            It may not, or nobody can be asked.
        """

    @abstractmethod
    def release(self, progress: Callable[[str], None]) -> None:
        """End all hosts, delete all that was made for the cluster, and verify it.

        Raises
        ------
        ProviderError
            Something is left; the message names it.
        """
