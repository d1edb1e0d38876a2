"""``python -m jupyter_cluster.head FOLDER``: the head's process."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.doors import allow_many_files
from jupyter_cluster.head.provisioning import Provisioning
from jupyter_cluster.head.service import Head
from jupyter_cluster.providers import provider_class
from jupyter_cluster.providers.base import HostProvider, Provider
from jupyter_cluster.providers.local import LocalProvider


def main(argv: Sequence[str]) -> None:
    """Run the head of the cluster in this folder."""
    parser = argparse.ArgumentParser(prog="jupyter_cluster.head")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--control", type=int, help="socket to the local host")
    parser.add_argument("--lifeline", type=int, help="descriptor that closes with the local host")
    parser.add_argument("--address", default="127.0.0.1", help="where nodes and clients reach it")
    parser.add_argument("--alive", type=Path, help="file by which the host's watch sees it alive")
    arguments = parser.parse_args(argv)
    allow_many_files()
    os.umask(0o077)  # inputs, results and logs are their owner's alone
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("distributed").setLevel(logging.WARNING)
    config = ClusterConfig.model_validate_json((arguments.folder / "config.json").read_text())
    identity = json.loads((arguments.folder / "cluster.json").read_text())

    def make_provider(folder: Path, config: ClusterConfig, head: str) -> Provider:
        if config.provider.type == "local":
            connection = socket.socket(fileno=arguments.control)
            return LocalProvider(folder, connection, config.node_types(), head)
        made = provider_class(config.provider.type)
        return Provisioning(folder, head) if issubclass(made, HostProvider) else made()

    async def run() -> None:
        head = Head(arguments.folder, config, identity, arguments.address, arguments.alive)
        await head.run(make_provider, arguments.lifeline)

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1:])
