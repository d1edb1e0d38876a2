"""The disk image of the hosts, made once with mmdebstrap and kept by what goes into it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "docker.io",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "rsync",
    "sudo",
    "tini",
)
# A host ends as a machine does: when its first process does.
_POWER_OFF = "#!/bin/sh\nkill -TERM 1\n"
# Docker Hub is the registry of the box; containers share the host's network.
_DOCKER = """{
  "registry-mirrors": ["http://172.31.0.1:5001"],
  "iptables": false,
  "bridge": "none",
  "exec-opts": ["native.cgroupdriver=cgroupfs"]
}
"""
# Debian's own asks for limits and control groups that a host of the box cannot have.
_DOCKER_SERVICE = """#!/bin/sh
[ "$1" = start ] || exit 0
setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
for _ in $(seq 100); do
    docker info >/dev/null 2>&1 && exit 0
    sleep 0.1
done
exit 1
"""
_COMMANDS = ("shutdown", "poweroff", "halt")
_VERSION = 4


def cache() -> Path:
    """Where images are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ec2box"


def host_image(packages: tuple[str, ...] = PACKAGES) -> Path:
    """The folder with the image of these packages, made now where there is none."""
    words = f"{_VERSION} {SUITE} {' '.join(packages)}"
    folder = cache() / hashlib.sha256(words.encode()).hexdigest()[:16]
    if not folder.is_dir():
        partial = folder.with_suffix(f".{os.getpid()}")
        partial.parent.mkdir(parents=True, exist_ok=True)
        _make(partial, packages)
        partial.rename(folder)
    return folder


def _make(folder: Path, packages: tuple[str, ...]) -> None:
    try:
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(packages)}",
                SUITE,
                str(folder),
            ],
            check=True,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / "etc/docker").mkdir(parents=True, exist_ok=True)
    (folder / "etc/docker/daemon.json").write_text(_DOCKER)
    service = folder / "etc/init.d/docker"
    service.write_text(_DOCKER_SERVICE)
    service.chmod(0o755)
    for name in _COMMANDS:
        path = folder / "usr/sbin" / name
        path.write_text(_POWER_OFF)
        path.chmod(0o755)


if __name__ == "__main__":
    from ec2box.registry import container_layer

    print(host_image(), container_layer())
