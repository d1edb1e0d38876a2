"""The verb that shows it all: the demo, imported when it is run."""

from __future__ import annotations

import argparse

from jupyter_cluster.commands.console import Console


def demo(options: argparse.Namespace, _console: Console) -> int:
    """Palettes of hundreds of posters; has a display of its own."""
    from jupyter_cluster.demo.run import main

    return main(options)
