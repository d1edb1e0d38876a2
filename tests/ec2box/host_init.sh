#!/bin/sh
# The first process of a host, in its namespaces: make the root file system and become its init.
# Arguments: FOLDER HOSTNAME LOWER
set -e
folder=$1 name=$2 lower=$3
root=$folder/disk/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/disk/upper,workdir=$folder/disk/work" "$root"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/.old" \
    "$root/var/lib/docker" "$root/var/lib/containers"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t tmpfs -o mode=755,size=1m dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
# Containers cannot keep their layers on an overlay.
mount --bind "$folder/disk/docker" "$root/var/lib/docker"
mount --bind "$folder/disk/containers" "$root/var/lib/containers"
mount -t tmpfs -o mode=755 cgroup "$root/sys/fs/cgroup"
for controller in memory pids cpu cpuacct cpuset devices freezer blkio; do
    [ -d "/sys/fs/cgroup/$controller" ] || continue
    mkdir -p "$root/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "$root/sys/fs/cgroup/$controller" 2>/dev/null ||
        rmdir "$root/sys/fs/cgroup/$controller"
done
mkdir -p "$root/sys/fs/cgroup/systemd"
mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" 2>/dev/null ||
    rmdir "$root/sys/fs/cgroup/systemd"
cd "$root/dev"
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229"; do
    # shellcheck disable=SC2086
    set -- $node
    mknod -m 666 "$1" c "$2" "$3"
done
mkdir pts shm mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts pts
mount -t tmpfs -o mode=1777 shm shm
mount -t mqueue mqueue mqueue
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s fd/0 stdin
ln -s fd/1 stdout
ln -s fd/2 stderr
mkdir -p "$root/run/sshd"
hostname "$name"
cd "$root"
pivot_root . .old
umount -l /.old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    tini -g -- /bin/sh /boot/start.sh </dev/null
