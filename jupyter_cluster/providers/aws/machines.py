"""What the node types of a cluster are on EC2: instance types, prices, images, launch templates."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeType
from jupyter_cluster.providers.aws import disks, images, prices
from jupyter_cluster.providers.aws.images import Image
from jupyter_cluster.providers.aws.kinds import Kind, kinds
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.providers.aws.templates import data_of, merged


class Machines:
    """Asks AWS once for each.

    Attributes
    ----------
    estimated : set of str
        Instance types whose prices are estimates.
    """

    def __init__(self, service: Service, config: ClusterConfig) -> None:
        self._service, self._config = service, config
        self.estimated: set[str] = set()
        self._kinds: dict[str, Kind] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        self._templates: dict[str, dict[str, Any]] = {}
        self._images: dict[str, Image] = {}
        self._lock = threading.RLock()

    def node_config(self, node_type: str) -> dict[str, Any]:
        """The node_config of a type, with what its launch template says besides."""
        with self._lock:
            if node_type not in self._configs:
                written = self._config.available_node_types[node_type].node_config
                self._configs[node_type] = merged(written, self.template(node_type))
            return self._configs[node_type]

    def template(self, node_type: str) -> dict[str, Any]:
        """What the launch template of a type says; nothing where it has none."""
        with self._lock:
            if node_type not in self._templates:
                written = self._config.available_node_types[node_type].node_config
                self._templates[node_type] = data_of(self._service, written)
            return self._templates[node_type]

    def kind(self, node_type: str) -> Kind:
        """The instance type of a node type.

        Raises
        ------
        ProviderError
            It names none, or one that there is not.
        """
        with self._lock:
            name = self.node_config(node_type).get("InstanceType", "")
            if not name:
                raise ProviderError(
                    f"{node_type}: neither its node_config nor its launch template names an"
                    " InstanceType; name one in its node_config",
                    node_type,
                )
            if name not in self._kinds:
                configs = [self.node_config(one) for one in self._config.available_node_types]
                names = {one["InstanceType"] for one in configs if one.get("InstanceType")}
                self._kinds |= kinds(self._service, names)
            return self._kinds[name]

    def image(self, node_type: str) -> Image:
        """The AMI of a node type.

        Raises
        ------
        ProviderError
            There is none of this name, or it is for other machines.
        """
        with self._lock:
            if node_type not in self._images:
                name = str(self.node_config(node_type).get("ImageId", images.DEFAULT))
                self._images[node_type] = images.image(self._service, name, self.kind(node_type))
            return self._images[node_type]

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """The node types with the resources of their instance types and their prices."""
        return {name: self._with_facts(one) for name, one in known.items()}

    def _with_facts(self, known: NodeType) -> NodeType:
        kind = self.kind(known.name)
        on_demand = prices.on_demand(self._service, kind.name)
        price = (prices.spot(self._service, kind.name) if known.spot else None) or on_demand
        if on_demand is not None and on_demand.is_estimate:
            self.estimated.add(kind.name)
        has_public_address = not getattr(self._config.provider, "use_internal_ips", False)
        extras = prices.extras(disks.size_gb(self.node_config(known.name)), has_public_address)
        return replace(
            known,
            resources=known.resources or kind.resources,
            price=None if price is None else price.usd + extras,
            on_demand=None if on_demand is None else on_demand.usd + extras,
        )
