"""``python -m jupyter_cluster.agent OPTIONS.json``: the agent's process on a worker node."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from ..model import Resources


def main(argv: list[str]) -> None:
    """Run an agent with the options in a JSON file."""
    from . import zygote

    options: dict[str, Any] = json.loads(Path(argv[0]).read_text())
    connection = zygote.start()  # before anything here has a thread or an event loop

    from .service import Agent, AgentOptions
    from .worker import configure_dask

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("distributed").setLevel(logging.WARNING)
    configure_dask()
    settings = AgentOptions(
        node=options["node"],
        node_type=options["node_type"],
        resources=Resources.of(options["resources"]),
        head=options["head"],
        folder=Path(options["folder"]),
        credentials=Path(options["credentials"]),
        grace=options.get("grace", AgentOptions.grace),
    )

    async def run() -> None:
        await Agent(settings, connection).run()

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1:])
