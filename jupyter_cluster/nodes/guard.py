"""What a host does at its first boot: let apt wait for itself, and start the watch that ends the
host when nobody looks after it.

The watch is a shell script on the host itself, so that it holds whatever happens to us: set-up that
never finishes, an agent that hangs, a head that is gone or was told to end by a `down` that went no
further. It shuts the host down; a worker that shuts down is terminated, a head stops and keeps its
disk.
"""

from __future__ import annotations

# Files whose change is a sign of life; open to all users of the host, since agents run in
# containers too.
ALIVE_FOLDER = "/var/lib/jupyter-cluster"
# Touched by a head that works, and by an agent that has its head.
ALIVE = f"{ALIVE_FOLDER}/alive"
# Touched while files arrive: set-up goes on, however long they take.
PROGRESS = f"{ALIVE_FOLDER}/progress"

# Time is that since the boot: the clock of a host may be set right while it runs.
_WATCH = """#!/bin/sh
up() {{ cut -d. -f1 {clock}; }}
of() {{ stat -c %y "$1" 2>/dev/null; }}
alive=$(of {alive}) progress=$(of {progress}) # what is of a former boot is no sign
last=$(up) limit={boot} reason="it was not set up within {boot} s"
while sleep {pause}; do
    if [ "$(of {alive})" != "$alive" ]; then
        alive=$(of {alive}) last=$(up) limit={grace} reason="nobody was heard of for {grace} s"
    elif [ "$(of {progress})" != "$progress" ]; then
        progress=$(of {progress}) last=$(up)
    elif [ $(($(up) - last)) -gt $limit ]; then
        echo "jupyter_cluster ends this host: $reason" | tee {folder}/ended >/dev/console
        shutdown -h now
        sleep 60
        poweroff -f
    fi
done
"""
_BOOT = """#!/bin/sh
# Made by jupyter_cluster: ends this host when nobody looks after it any more.
# Its own upgrades hold dpkg's lock now and then: who installs something waits for it.
if [ -d /etc/apt/apt.conf.d ]; then
    echo 'DPkg::Lock::Timeout "300";' >/etc/apt/apt.conf.d/90jupyter-cluster
fi
mkdir -p {folder}
chmod 1777 {folder}
touch {alive} {progress}
chmod 666 {alive} {progress}
cat >/usr/local/sbin/jupyter-cluster-guard <<'GUARD'
{watch}GUARD
chmod 755 /usr/local/sbin/jupyter-cluster-guard
if [ -d /run/systemd/system ]; then
    cat >/etc/systemd/system/jupyter-cluster-guard.service <<'UNIT'
[Unit]
Description=Ends this host when nobody looks after it
[Service]
ExecStart=/usr/local/sbin/jupyter-cluster-guard
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
    systemctl enable --now jupyter-cluster-guard.service
else
    setsid /usr/local/sbin/jupyter-cluster-guard </dev/null >/dev/null 2>&1 &
fi
"""


def user_data(grace: float, boot: float) -> str:
    """The script for a host's user data; see `watch`."""
    return _BOOT.format(
        folder=ALIVE_FOLDER, alive=ALIVE, progress=PROGRESS, watch=watch(grace, boot)
    )


def watch(
    grace: float, boot: float, folder: str = ALIVE_FOLDER, clock: str = "/proc/uptime"
) -> str:
    """The script that watches.

    Parameters
    ----------
    grace
        Seconds without a sign of life after which the host ends.
    boot
        Seconds after its boot in which the first sign must come; files that arrive begin them anew.
    clock
        A file whose first number is the seconds since the boot.
    """
    return _WATCH.format(
        folder=folder,
        alive=f"{folder}/alive",
        progress=f"{folder}/progress",
        clock=clock,
        pause=max(1, min(10, int(grace / 4))),
        grace=int(grace),
        boot=int(boot),
    )
