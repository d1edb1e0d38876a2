"""What a test does as a user: cluster files, clusters, and a look into the account."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from helpers import eventually

import jupyter_cluster as jc
from ec2box.rig import Rig
from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import Entry, entry
from jupyter_cluster.config import ClusterConfig, load

REGION = "us-west-1"
REGIONS = (REGION, "us-west-2")
# As small as a cluster file can be, with a head that takes no tasks.
BASE: dict[str, Any] = {
    "cluster_name": "posters",
    "max_workers": 4,
    "idle_timeout_minutes": 5,
    "worker_grace_minutes": 0.5,
    "provider": {"type": "aws", "region": REGION},
    "auth": {"ssh_user": "ubuntu"},
    "available_node_types": {
        "head": {"node_config": {"InstanceType": "m5.large"}, "max_workers": 0},
        "worker": {"node_config": {"InstanceType": "m5.large"}},
    },
    "head_node_type": "head",
}


class Bench:
    """One user at work."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self.folder = rig, folder
        self.said: list[str] = []
        self.lines: list[str] = []
        self._clients: dict[tuple[str, str, str], Any] = {}  # one takes a tenth of a second to make

    # -- clusters -----------------------------------------------------------------------------

    def file(self, **changes: Any) -> Path:
        """Write a cluster file: the base with changes, of which maps are merged."""
        content = merged(BASE, changes)
        path = self.folder / f"{content['cluster_name']}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    def start(self, path: Path, **options: Any) -> Entry:
        """`up`, with what it says kept in `said` and `lines`."""
        return launch.start(load(path), self.said.append, self.lines.append, **options)

    def up(self, **changes: Any) -> jc.Cluster:
        """A cluster that runs, connected."""
        place = self.start(self.file(**changes))
        return jc.connect(place.name)

    def end(self, name: str = "posters") -> None:
        """`down`; the account must be empty of it."""
        jc.shutdown()
        launch.end(entry(name), self.said.append)

    def command(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A verb in a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "jupyter_cluster.cli", *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "COLUMNS": "100"},
            check=False,
        )

    def config(self, path: Path) -> ClusterConfig:
        """A file as it is understood."""
        return load(path)

    # -- the account --------------------------------------------------------------------------

    def client(self, service: str = "ec2", region: str = REGION) -> Any:
        """AWS without us in between."""
        who = os.environ["AWS_ACCESS_KEY_ID"]
        if (made := self._clients.get((service, region, who))) is None:
            made = self._clients[service, region, who] = boto3.client(service, region_name=region)
        return made

    def instances(self, *states: str, **tags: str) -> list[dict[str, Any]]:
        """Instances that are not terminated, or in these states, with tags of ours."""
        states = states or ("pending", "running", "shutting-down", "stopping", "stopped")
        rows = [
            instance
            for region in REGIONS
            for page in self.client(region=region).get_paginator("describe_instances").paginate()
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]
        return [
            row
            for row in rows
            if row["State"]["Name"] in states
            and all(tags_of(row).get(name) == value for name, value in tags.items())
        ]

    def head(self, cluster: str = "posters") -> str:
        """The id of the head's instance."""
        return str(self.instances(kind="head", cluster=cluster)[0]["InstanceId"])

    def workers(self, *states: str, cluster: str = "posters") -> dict[str, str]:
        """The ids of the workers' instances, by their node's name."""
        rows = self.instances(*states, kind="worker", cluster=cluster)
        return {
            tags_of(row)["nodes"].split(",")[row["AmiLaunchIndex"]]: row["InstanceId"]
            for row in rows
        }

    def await_ready(self, cluster: jc.Cluster, count: int = 1) -> None:
        """Until no worker is on its way any more, and so many at least are ready."""

        def all_ready() -> bool:
            states = [row["state"] for row in cluster.nodes()]
            return len(states) >= count and set(states) == {"ready"}

        eventually(all_ready, 90)

    def left_over(self) -> list[str]:
        """All in the account that somebody made."""
        iam = self.client("iam")
        left = [
            f"instance {row['InstanceId']} {row['State']['Name']} {tags_of(row)}"
            for row in self.instances()
        ]
        for ec2 in (self.client(region=region) for region in REGIONS):
            left += [f"volume {row['VolumeId']}" for row in ec2.describe_volumes()["Volumes"]]
            left += [f"key pair {row['KeyName']}" for row in ec2.describe_key_pairs()["KeyPairs"]]
            left += [
                f"security group {row['GroupName']}"
                for row in ec2.describe_security_groups()["SecurityGroups"]
                if row["GroupName"] != "default"
            ]
        left += [f"role {row['RoleName']}" for row in iam.list_roles()["Roles"]]
        profiles = iam.list_instance_profiles()["InstanceProfiles"]
        left += [f"instance profile {row['InstanceProfileName']}" for row in profiles]
        return left


def ssh_key() -> tuple[bytes, bytes]:
    """A new key for SSH: its private half in OpenSSH's format, its public half as a line."""
    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private, public


def tags_of(row: dict[str, Any]) -> dict[str, str]:
    """Tags by their names without our prefix."""
    return {
        tag["Key"].removeprefix("jupyter-cluster:"): tag["Value"] for tag in row.get("Tags", ())
    }


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Maps are merged, all else is replaced."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        old = result.get(key)
        is_map = isinstance(old, dict) and isinstance(value, dict)
        result[key] = merged(old, value) if is_map else value
    return result
