"""What a host does at its first boot: start the watch that ends it when nobody looks after it.

The watch is a shell script on the host itself, so that it holds whatever happens to us: set-up that
never finishes, an agent that hangs, a head that is gone. It shuts the host down; a worker that
shuts down is terminated, a head stops and keeps its disk.
"""

from __future__ import annotations

# Touched by who is alive; open to all users of the host, since agents run in containers too.
ALIVE_FOLDER = "/var/lib/jupyter-cluster"
ALIVE = f"{ALIVE_FOLDER}/alive"

_SCRIPT = """#!/bin/sh
# Made by jupyter_cluster: ends this host when nobody looks after it any more.
mkdir -p {folder}
chmod 1777 {folder}
cat >/usr/local/sbin/jupyter-cluster-guard <<'GUARD'
#!/bin/sh
started=$(date +%s)
while sleep {pause}; do
    now=$(date +%s)
    if [ -e {alive} ]; then
        [ $((now - $(stat -c %Y {alive}))) -gt {grace} ] || continue
        reason="nobody was heard of for {grace} s"
    else
        [ $((now - started)) -gt {boot} ] || continue
        reason="it was not set up {boot} s after its boot"
    fi
    echo "jupyter_cluster ends this host: $reason" | tee {folder}/ended >/dev/console
    shutdown -h now
    sleep 60
    poweroff -f
done
GUARD
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
    """The script for a host's user data.

    Parameters
    ----------
    grace
        Seconds without a sign of life after which the host ends.
    boot
        Seconds after its boot in which the first sign must come.
    """
    return _SCRIPT.format(
        folder=ALIVE_FOLDER,
        alive=ALIVE,
        pause=max(1, min(10, int(grace / 4))),
        grace=int(grace),
        boot=int(boot),
    )
