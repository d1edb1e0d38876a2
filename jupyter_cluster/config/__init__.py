"""The cluster YAML: read, checked, explained.

Files of Ray's cluster launcher are read as they are; what has no meaning here is named in
`ClusterConfig.notices` where it is harmless and refused where it is not. ``docs/cluster-yaml.md``
has every key.
"""

from __future__ import annotations

from jupyter_cluster.config._explain import Explained, explain
from jupyter_cluster.config._load import Examined, examine, load, parse
from jupyter_cluster.config._local import local_config
from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import Fix, Problem, Span
from jupyter_cluster.config._schema import schema
from jupyter_cluster.config._sections import (
    Auth,
    AwsProvider,
    Docker,
    KeyPair,
    LocalProvider,
    NodeDocker,
    NodeTypeConfig,
    PluginProvider,
    Python,
    SecurityGroup,
    SshProvider,
)

__all__ = [
    "Auth",
    "AwsProvider",
    "ClusterConfig",
    "Docker",
    "Examined",
    "Explained",
    "Fix",
    "KeyPair",
    "LocalProvider",
    "NodeDocker",
    "NodeTypeConfig",
    "PluginProvider",
    "Problem",
    "Python",
    "SecurityGroup",
    "Span",
    "SshProvider",
    "examine",
    "explain",
    "load",
    "local_config",
    "parse",
    "schema",
]
