"""One host: a root file system, a network namespace, and sshd as its only service."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ec2box.network import Cable

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup")
USER, USER_ID = "ubuntu", 1000

_START = """#!/bin/sh
if [ -s /boot/apt-hold ] && [ ! -e /var/lib/booted ]; then
    python3 -c "$(cat /boot/apt-hold)" &
fi
if [ -x /boot/user-data ] && [ ! -e /var/lib/booted ]; then
    : >/var/lib/booted
    ( /boot/user-data >/var/log/user-data.log 2>&1 ) &
fi
sleep "$(cat /boot/sshd-delay 2>/dev/null || echo 0)"
mute=$(cat /boot/sshd-mute 2>/dev/null || echo 0)
if [ "$mute" != 0.0 ] && [ ! -e /var/lib/answered ]; then
    : >/var/lib/answered
    /usr/sbin/sshd -D -E /var/log/sshd.log &
    until grep -q listening /var/log/sshd.log 2>/dev/null; do sleep 0.02; done
    kill -STOP $!
    sleep "$mute"
    kill -CONT $!
    wait $!
fi
exec /usr/sbin/sshd -D -E /var/log/sshd.log
"""
# As a host's own upgrades do after its first boot: locks of apt's are held for a while.
_APT_HOLD = """
import fcntl, time
names = ("dpkg/lock-frontend", "dpkg/lock", "apt/lists/lock")
files = [open("/var/lib/" + name, "w") for name in names]
for file in files:
    fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep({seconds})
"""
_SSHD = """HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
"""
# What people write into these: a shell says something at its start, and the profile is no script.
_BASHRC = "echo Welcome to this host; echo 'tput: No value for $TERM' >&2\n"
_PROFILE = "MOTTO=two words; touch /tmp/run\n# a remark\necho not a setting\n"


@dataclass
class Host:
    """A machine that can be switched on and off; its disk outlives that, as an EBS volume does.

    Attributes
    ----------
    name : str
        The instance's id.
    public_key : str
        A line for the user's authorized_keys.
    environment : dict
        What every login finds in its environment.
    ssh_delay, ssh_mute : float
        Seconds until sshd listens, and then until it answers.
    apt_hold : float
        For how long apt is locked after the first boot.
    """

    name: str
    address: str
    image: Path
    folder: Path
    public_key: str = ""
    public: str | None = None
    user_data: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ssh_delay: float = 0.0
    ssh_mute: float = 0.0
    apt_hold: float = 0.0
    disk_size: str = "8g"

    def __post_init__(self) -> None:
        short = self.name[-10:]
        self.cable = Cable(f"h{short}", f"v{short}", self.address, self.public)
        self._process: subprocess.Popen[bytes] | None = None

    # -- its life -----------------------------------------------------------------------------

    def create(self) -> None:
        """Make its disk and lay its cable."""
        disk = self.folder / "disk"
        disk.mkdir(parents=True)
        options = f"size={self.disk_size},mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, self.name, str(disk)], check=True)
        for part in ("upper", "work", "root", "docker", "containers"):
            (disk / part).mkdir()
        self._write_disk(disk / "upper")
        self.cable.lay()

    def power_on(self) -> None:
        """Start it; returns before its sshd listens."""
        self.cable.plug(True)
        group = CGROUPS / "freezer" / "ec2box" / self.name
        join = ""
        if (CGROUPS / "freezer").is_dir():
            group.mkdir(parents=True, exist_ok=True)
            join = f"echo $$ >{group}/cgroup.procs; "
        hostname = "ip-" + self.address.replace(".", "-")
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--fork",
            "--kill-child",
        ]
        words += ["--kill-child", "--propagation", "private", str(HERE / "host_init.sh")]
        words += [str(self.folder), hostname, str(self.image)]
        net = f"/run/netns/{self.cable.namespace}"
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", f'{join}exec nsenter "$@"', "_", f"--net={net}", *words],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it has ended, by itself or otherwise."""
        if self._process is not None:
            self._process.wait()

    def power_cut(self) -> None:
        """End it as a power cut does: nobody gets a farewell, the cable is dead first."""
        with contextlib.suppress(RuntimeError):
            self.cable.plug(False)
        self.kill()

    def kill(self) -> None:
        """End all its processes at once."""
        self.freeze(False)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def freeze(self, is_frozen: bool) -> None:
        """Stop all its processes where they are, or let them go on: a machine that hangs."""
        state = CGROUPS / "freezer" / "ec2box" / self.name / "freezer.state"
        with contextlib.suppress(FileNotFoundError):
            state.write_text("FROZEN" if is_frozen else "THAWED")

    def destroy(self) -> None:
        """End it with its disk and its cable."""
        self.kill()
        self.cable.remove()
        for _ in range(50):  # a control group is busy until its last process is reaped
            try:
                (CGROUPS / "freezer" / "ec2box" / self.name).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)
        subprocess.run(["umount", "-l", str(self.folder / "disk")], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command: str) -> str:
        """What a command prints as root on the running host, for tests to look at it."""
        assert self._process is not None
        inside = _first_child(_first_child(self._process.pid))
        done = subprocess.run(
            ["nsenter", "--all", f"--target={inside}", "--root", "--wd=/", "sh", "-c", command],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    # -- its disk -----------------------------------------------------------------------------

    def _write_disk(self, disk: Path) -> None:
        name = "ip-" + self.address.replace(".", "-")
        key, public = _host_key()
        home = f"home/{USER}"
        environment = "".join(f"{k}={v}\n" for k, v in self.environment.items()) + _PROFILE
        files = {
            "etc/passwd": self._from_image("etc/passwd")
            + f"{USER}:x:{USER_ID}:{USER_ID}::/{home}:/bin/bash\n",
            "etc/group": self._from_image("etc/group") + f"{USER}:x:{USER_ID}:\n",
            "etc/shadow": self._from_image("etc/shadow") + f"{USER}:*:19000:0:99999:7:::\n",
            "etc/hostname": f"{name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n{self.address} {name}\n",
            "etc/apt/sources.list": "",  # there is no way to a mirror: nobody waits for one
            "etc/environment": environment,
            "etc/sudoers.d/90-cloud": f"{USER} ALL=(ALL) NOPASSWD:ALL\n",
            "etc/ssh/sshd_config": _SSHD,
            "etc/ssh/ssh_host_ed25519_key": key,
            "etc/ssh/ssh_host_ed25519_key.pub": public,
            "boot/start.sh": _START,
            "boot/sshd-delay": f"{self.ssh_delay}\n",
            "boot/sshd-mute": f"{self.ssh_mute}\n",
            f"{home}/.ssh/authorized_keys": f"{self.public_key}\n",
            f"{home}/.bashrc": _BASHRC,
        }
        if self.user_data:
            files["boot/user-data"] = self.user_data
        if self.apt_hold:
            files["boot/apt-hold"] = _APT_HOLD.format(seconds=self.apt_hold)
        for path, content in files.items():
            (disk / path).parent.mkdir(parents=True, exist_ok=True)
            (disk / path).write_text(content)
        for path in ("etc/ssh/ssh_host_ed25519_key", "etc/shadow", "etc/sudoers.d/90-cloud"):
            (disk / path).chmod(0o600)
        for path in ("boot/start.sh", *(["boot/user-data"] if self.user_data else [])):
            (disk / path).chmod(0o755)
        for path in (home, f"{home}/.bashrc", f"{home}/.ssh", f"{home}/.ssh/authorized_keys"):
            os.chown(disk / path, USER_ID, USER_ID)
        (disk / home).chmod(0o750)
        (disk / f"{home}/.ssh").chmod(0o700)

    def _from_image(self, path: str) -> str:
        return (self.image / path).read_text()


def _host_key() -> tuple[str, str]:
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return text.decode(), public.decode()


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def end_all(hosts: list[Host]) -> None:
    """Destroy hosts, whatever each does."""
    for host in hosts:
        with contextlib.suppress(Exception):
            host.destroy()
