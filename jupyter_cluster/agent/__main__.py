"""``python -m jupyter_cluster.agent OPTIONS.json``: the agent's process on a worker node."""

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
from typing import Any

from jupyter_cluster.resources import Resources


def main(argv: Sequence[str]) -> None:
    """Run an agent with the options in a JSON file."""
    from jupyter_cluster.agent import zygote

    parser = argparse.ArgumentParser(prog="jupyter_cluster.agent")
    parser.add_argument("options", type=Path)
    parser.add_argument("--lifeline", type=int, help="descriptor that closes with the local host")
    parser.add_argument("--zygote", type=int, help="descriptor that leads to a zygote")
    arguments = parser.parse_args(argv)
    options: dict[str, Any] = json.loads(arguments.options.read_text())
    folder = Path(options["folder"])
    # It has the user's umask: what the agent keeps is its owner's alone, files of tasks are not.
    process = None
    if arguments.zygote is None:
        zygote.adopt_orphans()
        connection, process = zygote.start(folder)
    else:
        connection = socket.socket(fileno=arguments.zygote)
    os.umask(0o077)

    from jupyter_cluster.agent.service import Agent, AgentOptions
    from jupyter_cluster.dask_settings import configure_dask
    from jupyter_cluster.doors import allow_many_files

    allow_many_files()  # the zygote is there by now: slots have what a plain Python has

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("distributed").setLevel(logging.WARNING)
    configure_dask()
    settings = AgentOptions(
        node=options["node"],
        node_type=options["node_type"],
        resources=Resources.of(options["resources"]),
        head=options["head"],
        folder=folder,
        credentials=Path(options["credentials"]),
        grace=options.get("grace", AgentOptions.grace),
        alive=Path(options["alive"]) if options.get("alive") else None,
        lifeline=arguments.lifeline,
        spot=options.get("spot", False),
    )

    async def run() -> None:
        await Agent(settings, connection).run()

    try:
        asyncio.run(run())
    finally:
        connection.close()  # the zygote ends what is left
        if process is not None:
            zygote.wait_for(process)
            zygote.end_children()


if __name__ == "__main__":
    main(sys.argv[1:])
