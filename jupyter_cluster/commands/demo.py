"""The verb that shows it all: the demo, imported when it is run."""

from __future__ import annotations

import argparse
from importlib import import_module

from jupyter_cluster.commands.console import Console
from jupyter_cluster.errors import not_installed

PACKAGES = ("colorthief", "numpy", "PIL", "plotly")


def demo(options: argparse.Namespace, _console: Console) -> int:
    """Palettes of hundreds of posters; has a display of its own."""
    # What it needs at its end, too: nobody is to wait and then be told that a package is missing.
    try:
        for package in PACKAGES:
            import_module(package)
    except ImportError as error:
        raise not_installed("the demo needs", "demo", error) from error
    from jupyter_cluster.demo.run import main

    return main(options)
