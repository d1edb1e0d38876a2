"""The sections of the cluster YAML as models; what each key means stands in its description."""

from __future__ import annotations

import ipaddress
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Strict,
    Tag,
)

# Strict: a quoted "30" is text and 3.10 is a number; guessing would hide a slip of the pen.
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
# The upper bounds are far beyond what can be, and what every reader of the numbers can hold.
Count = Annotated[int, Strict(), Field(ge=0, le=100_000)]
Amount = Annotated[float, Strict(), Field(ge=0, le=1e15, allow_inf_nan=False)]
Minutes = Annotated[float, Strict(), Field(ge=0, le=10_000_000, allow_inf_nan=False)]
Money = Annotated[float, Strict(), Field(gt=0, le=1e9, allow_inf_nan=False)]
Texts = tuple[Text, ...]


def _network(text: str) -> str:
    """A network as EC2 writes it, without the bits of a host."""
    return str(ipaddress.ip_network(text, strict=False))


Networks = tuple[Annotated[Text, AfterValidator(_network)], ...]


class Section(BaseModel):
    """A map of the YAML with known keys; values cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Auth(Section):
    """How to reach the nodes by SSH."""

    ssh_user: Text = Field("ubuntu", description="User to log in as.")
    ssh_private_key: Text | None = Field(
        None,
        description="Path of a private key, relative to this file. Left out: a key is made for "
        "the cluster. Given, on aws: give its public half too, or its name in EC2 by KeyName in "
        "each node_config or by provider.key_pair.",
    )
    ssh_public_key: Text | None = Field(
        None,
        description="Path of the public half of ssh_private_key, relative to this file. On aws "
        "the cluster's key pair is made of it.",
    )
    ssh_proxy_command: Text | None = Field(
        None, description="Command whose input and output lead to the node, as in OpenSSH."
    )
    ssh_port: Annotated[int, Strict(), Field(ge=1, le=65535)] = Field(
        22, description="Port of the SSH server on every node."
    )


class Docker(Section):
    """The container in which set-up commands and tasks run; none where no image is given."""

    image: Text | None = Field(None, description="Image for head and workers.")
    head_image: Text | None = Field(None, description="Image for the head instead of image.")
    worker_image: Text | None = Field(None, description="Image for workers instead of image.")
    container_name: Text | None = Field(
        None, description="Name of the container. Left out: the cluster's name."
    )
    pull_before_run: Flag = Field(True, description="Pull the image although the node has one.")
    run_options: Texts = Field((), description="Options of `docker run` on all nodes.")
    head_run_options: Texts = Field((), description="More options of `docker run` on the head.")
    worker_run_options: Texts = Field((), description="More options of `docker run` on workers.")
    disable_automatic_runtime_detection: Flag = Field(
        False, description="Do not pass GPUs to the container by itself."
    )
    disable_shm_size_detection: Flag = Field(
        False, description="Do not set the size of /dev/shm by the node's memory."
    )
    use_podman: Flag = Field(False, description="Use podman instead of docker.")


class NodeDocker(Section):
    """What one node type does differently from the docker section."""

    worker_image: Text | None = Field(None, description="Image for workers of this type.")
    pull_before_run: Flag | None = Field(
        None, description="Pull the image. Left out: as in the docker section."
    )
    worker_run_options: Texts | None = Field(
        None,
        description="Options of `docker run` for workers of this type. Left out: as in the "
        "docker section.",
    )


class NodeTypeConfig(Section):
    """A kind of node that may be launched."""

    node_config: dict[str, Any] = Field(
        default_factory=dict,
        description="On aws, required: arguments of EC2's RunInstances, e.g. "
        "{InstanceType: m5.large}; also SubnetIds, a list. MinCount and MaxCount are set by the "
        "cluster.",
    )
    resources: dict[str, Amount] = Field(
        default_factory=dict,
        description="Amounts that tasks may ask for, e.g. {CPU: 4, GPU: 1, memory: 8e9} (memory "
        "in bytes). Left out: those of the machine; on local {CPU: 1}.",
    )
    min_workers: Count = Field(0, description="Workers of this type that are always kept.")
    max_workers: Count | None = Field(
        None,
        description="Workers of this type at most, the head not counted. Left out: the global "
        "max_workers, for the head's type too.",
    )
    spot: Flag = Field(
        False, description="Launch spot instances; on-demand ones where there are none."
    )
    initialization_commands: Texts | None = Field(
        None, description="Instead of the global initialization_commands on this type."
    )
    worker_setup_commands: Texts | None = Field(
        None,
        description="Instead of the global setup_commands and worker_setup_commands on this type.",
    )
    docker: NodeDocker = Field(
        default_factory=NodeDocker, description="What this type does otherwise in docker."
    )


class SecurityGroup(Section):
    """The EC2 security group of the cluster."""

    GroupName: Text | None = Field(
        None, description="Name of the group. Left out: one is made for the cluster."
    )
    IpPermissions: tuple[dict[str, Any], ...] = Field(
        (), description="More inbound rules, as EC2's IpPermissions."
    )


class HeadRole(Section):
    """How the head's role in IAM is made."""

    path: Annotated[Text, Field(pattern=r"^/([!-~]+/)?$")] = Field(
        "/", description="Path of the role and its instance profile, e.g. /science/."
    )
    permissions_boundary: Annotated[Text, Field(pattern=r"^arn:")] | None = Field(
        None, description="ARN of a policy that bounds what the role may do."
    )


class KeyPair(Section):
    """An EC2 key pair that exists already."""

    key_name: Text = Field(description="Name of the key pair in the region.")


class AwsProvider(Section):
    """Nodes are EC2 instances."""

    type: Literal["aws"] = Field(description="Where nodes come from.")
    region: Text = Field("us-west-2", description="AWS region.")
    availability_zone: Text | None = Field(
        None,
        description="Zones, separated by commas, tried in this order. Left out: all zones of "
        "the region.",
    )
    use_internal_ips: Flag = Field(
        False, description="Reach the nodes by their private addresses; they get no public ones."
    )
    security_group: SecurityGroup = Field(
        default_factory=SecurityGroup, description="Security group of the nodes."
    )
    ssh_from: Networks = Field(
        (),
        description="Networks from which SSH is let in, e.g. [198.51.100.0/24]. Left out: the "
        "public address of this machine; with use_internal_ips, all private networks.",
    )
    key_pair: KeyPair | None = Field(
        None, description="Key pair of the instances. Left out: one is made for the cluster."
    )
    head_instance_profile: Text | None = Field(
        None,
        description="Name or ARN of an instance profile for the head. Left out: a role that may "
        "touch this cluster only is made, and deleted with it.",
    )
    head_role: HeadRole = Field(
        default_factory=HeadRole,
        description="The role that is made for the head, where head_instance_profile is left out.",
    )
    aws_credentials: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="aws_access_key_id, aws_secret_access_key and aws_session_token. Better left "
        "out: boto3 then finds them as the AWS command line does.",
    )


class LocalProvider(Section):
    """Nodes are processes on this machine."""

    type: Literal["local"] = Field(description="Where nodes come from.")


def _or_local(schema: dict[str, Any]) -> None:
    """So that an editor takes Ray's on-premise form, which is read as ssh."""
    del schema["const"]
    schema["enum"] = ["ssh", "local"]


class SshProvider(Section):
    """Nodes are hosts that exist already."""

    type: Literal["ssh"] = Field(
        description="Where nodes come from.",
        json_schema_extra=_or_local,
    )
    head_ip: Text = Field(description="Address of the head, as the workers see it.")
    external_head_ip: Text | None = Field(
        None, description="Address of the head as this machine sees it. Left out: head_ip."
    )
    worker_ips: Texts = Field((), description="Addresses of the hosts that may become workers.")


class PluginProvider(BaseModel):
    """Nodes come from a package that registers itself under `jupyter_cluster.providers`.

    The package checks its own keys; they are in `model_extra`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Text = Field(
        description="Where nodes come from.",
        json_schema_extra={"not": {"enum": ["aws", "local", "ssh"]}},
    )


PROVIDERS: dict[str, type[BaseModel]] = {
    "aws": AwsProvider,
    "local": LocalProvider,
    "ssh": SshProvider,
}


PROVIDER_GROUP = "jupyter_cluster.providers"


def known_providers() -> list[str]:
    """Provider types that a file may name: ours and those of installed packages."""
    return sorted({*PROVIDERS, *(point.name for point in entry_points(group=PROVIDER_GROUP))})


def provider_tag(provider: Any) -> str | None:
    """Which of the provider models is meant; None where it is no map at all."""
    if isinstance(provider, BaseModel):
        kind = getattr(provider, "type", None)
    elif isinstance(provider, dict):
        kind = provider.get("type")
    else:
        return None
    return kind if isinstance(kind, str) and kind in PROVIDERS else "plugin"


Provider = Annotated[
    Annotated[AwsProvider, Tag("aws")]
    | Annotated[LocalProvider, Tag("local")]
    | Annotated[SshProvider, Tag("ssh")]
    | Annotated[PluginProvider, Tag("plugin")],
    Discriminator(provider_tag),
]


class Python(Section):
    """The Python environment of the nodes."""

    sync: Flag = Field(
        True,
        description="Give the nodes the notebook's Python version and installed packages, local "
        "modules included.",
    )
    mirror: Text | None = Field(
        None,
        description="Where nodes get a Python that their image lacks, as uv's "
        "UV_PYTHON_INSTALL_MIRROR. Left out: GitHub.",
    )
