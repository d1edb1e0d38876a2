#!/bin/sh
# Run a command in namespaces of its own: a network without a way out, mounts and processes that end
# with it. Not the machine's own network: what happens in there must not change anything out here.
exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private sh -c '
    mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up
    cp /etc/hosts /run/netns/.hosts && echo 172.31.0.1 checkip.amazonaws.com >>/run/netns/.hosts
    mount --bind /run/netns/.hosts /etc/hosts
    exec "$@"' enter "$@"
