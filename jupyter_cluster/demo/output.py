"""What the demo leaves behind: each file is whole at every moment."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_cluster.demo.palettes import Palette
from jupyter_cluster.demo.report import Report, write_report
from jupyter_cluster.errors import UsageError

# Palettes are saved this often, or less often where saving them would take more of the time.
SAVE_SECONDS = 1.0
SAVE_SHARE = 0.05


class Output:
    """The folder of ``--out``.

    Raises
    ------
    UsageError
        It cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.palettes = folder / "palettes.json"
        self.throughput = folder / "throughput.json"
        self.report = folder / "report.html"
        self.posters = folder / "posters"
        self._next_save = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UsageError(
                f"--out {folder}: it cannot be written to ({error.strerror}); name another folder"
            ) from None

    def read_palettes(self) -> dict[str, Palette]:
        """The palettes of an earlier run; empty where there was none.

        Raises
        ------
        UsageError
            The file is there but does not hold palettes.
        """
        try:
            found = json.loads(self.palettes.read_text(encoding="utf-8"))
            return {name: [(r, g, b) for r, g, b in colours] for name, colours in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self.palettes} cannot be resumed from ({error}); leave --resume out to start"
                " anew"
            ) from None

    def save_palettes(self, palettes: Mapping[str, Palette]) -> None:
        """Write all palettes."""
        start = time.monotonic()
        _replace(self.palettes, lambda part: part.write_text(json.dumps(palettes)))
        now = time.monotonic()
        self._next_save = now + max(SAVE_SECONDS, (now - start) / SAVE_SHARE)

    def save_palettes_if_due(self, palettes: Mapping[str, Palette]) -> None:
        """Write all palettes unless that was done a moment ago."""
        if time.monotonic() >= self._next_save:
            self.save_palettes(palettes)

    def write_throughput(self, series: Sequence[Mapping[str, Any]]) -> None:
        """Write the samples, one a line."""
        text = "[\n" + ",\n".join(map(json.dumps, series)) + "\n]\n"
        _replace(self.throughput, lambda part: part.write_text(text))

    def write_report(self, report: Report) -> None:
        """Write the report as HTML."""
        _replace(self.report, lambda part: write_report(part, report))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Put a file in place of another in one step, on the disk before that."""
    part = path.with_name(f".{path.name}.part")
    write(part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
