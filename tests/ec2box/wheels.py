"""The wheels that hosts install from: those of an environment, kept by what is in it.

python -m ec2box.wheels PYTHON        prints the folder
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ec2box.image import cache

# What nodes have besides the notebook's own packages.
_ALWAYS = ("pip", "uv")
# What the tests' set-up commands install.
_EXTRAS = ("colorthief", "tqdm")


def wheels(python: str) -> Path:
    """The folder with the wheels of all that is installed for this Python, made now if need be."""
    frozen = subprocess.run(
        [python, "-m", "pip", "freeze", "--all", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    named = {line.partition("==")[0].lower() for line in frozen}
    wanted = [*frozen, *(name for name in (*_ALWAYS, *_EXTRAS) if name not in named)]
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
    folder = cache() / f"wheels-{digest}"
    if not folder.is_dir():
        partial = folder.with_suffix(f".{os.getpid()}")
        partial.mkdir(parents=True)
        try:
            words = ["--no-deps", "--only-binary", ":all:", "--dest", str(partial), *wanted]
            command = [python, "-m", "pip", "download", "--quiet", *words]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return folder


if __name__ == "__main__":
    print(wheels(sys.argv[1]))
