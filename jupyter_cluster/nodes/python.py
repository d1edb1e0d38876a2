"""The Python environment that nodes get: that of the process which starts the cluster."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from io import BytesIO
from pathlib import Path

import jupyter_cluster

# pip, so that `pip install` in setup_commands lands in this environment and not in the system's.
_ALWAYS = ("pip",)
_OURSELVES = "jupyter-cluster"
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class PythonEnvironment:
    """What is installed on the nodes.

    Attributes
    ----------
    version : str
        ``3.11``.
    requirements : tuple of str
        ``name==version``, sorted.
    wheel_name, wheel : str, bytes
        This very jupyter_cluster, as it runs here.
    left_out : tuple of str
        Names of packages that are here and cannot be had from an index: editable or local ones.
    """

    version: str
    requirements: tuple[str, ...]
    wheel_name: str
    wheel: bytes
    left_out: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes whenever a node must be given another one."""
        text = json.dumps([self.version, self.requirements, self.wheel_name])
        return hashlib.sha256(text.encode() + self.wheel).hexdigest()[:16]


def environment_here(sync: bool = True) -> PythonEnvironment:
    """The environment of this process; unless `sync`, only what jupyter_cluster itself needs."""
    requirements, left_out = _installed() if sync else ((), ())
    name, wheel = _own_wheel()
    return PythonEnvironment(
        version=f"{sys.version_info.major}.{sys.version_info.minor}",
        requirements=tuple(sorted({*requirements, *_ALWAYS})),
        wheel_name=name,
        wheel=wheel,
        left_out=left_out,
    )


def differences(environment: PythonEnvironment) -> list[str]:
    """What nodes will have otherwise than here, as sentences."""
    found = []
    if environment.left_out:
        names = ", ".join(environment.left_out)
        found.append(
            f"not from an index, so not installed on the nodes: {names} (their modules travel with"
            " each job that uses them)"
        )
    if platform.system() != "Linux":
        found.append(
            f"this is {platform.system()}, nodes are Linux: packages without a wheel for Linux are"
            " named when a node is set up"
        )
    return found


def _installed() -> tuple[tuple[str, ...], tuple[str, ...]]:
    pinned, left_out = set(), set()
    for found in distributions():
        name = found.metadata["Name"]
        if name is None or _normal(name) in (_OURSELVES, *_ALWAYS):
            continue
        if _is_local(found):
            left_out.add(name)
        else:
            pinned.add(f"{_normal(name)}=={found.version}")
    return tuple(sorted(pinned)), tuple(sorted(left_out))


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _is_local(found: Distribution) -> bool:
    """Whether it was installed from a folder, a file or a repository (PEP 610)."""
    return found.read_text("direct_url.json") is not None


def _own_wheel() -> tuple[str, bytes]:
    """This package as a wheel: what runs here need not be on any index."""
    version = jupyter_cluster.__version__
    folder = f"jupyter_cluster-{version}.dist-info"
    files = dict(_own_files())
    files[f"{folder}/METADATA"] = _metadata(version).encode()
    files[f"{folder}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: jupyter_cluster\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n"
    )
    record = "".join(f"{name},{_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in sorted(files.items()):
            wheel.writestr(zipfile.ZipInfo(name, _FIXED_DATE), data)
    return f"jupyter_cluster-{version}-py3-none-any.whl", buffer.getvalue()


def _own_files() -> Iterator[tuple[str, bytes]]:
    root = Path(jupyter_cluster.__file__).parent
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(root.parent)), path.read_bytes()


def _metadata(version: str) -> str:
    try:
        text = distribution(_OURSELVES).read_text("METADATA")
    except PackageNotFoundError:
        text = None
    return text or f"Metadata-Version: 2.1\nName: {_OURSELVES}\nVersion: {version}\n"


def _hash(data: bytes) -> str:
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
