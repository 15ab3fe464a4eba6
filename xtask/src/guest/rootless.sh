# The core as an ordinary user who is root in a user namespace of its own, with a cgroup that systemd has delegated: as rootless engines call a
# runtime. The cgroup namespace makes the delegated cgroup the root of what can be seen. Containers that share a namespace share one that this user owns.
cat > /run/rootless <<'SUITE'
set -e
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/harness
echo $$ > /sys/fs/cgroup/harness/cgroup.procs
sed 's/\(^\| \)/ +/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
export TMPDIR=/var/tmp
exec unshare --pid --fork --kill-child --mount-proc --net --ipc --uts /share/teu-conformance --runtime teu=/share/teu --filter lifecycle:: --filter state:: --filter mounts:: --filter exec:: --filter namespaces:: \
    --filter cgroups:: --filter cgroup_faults:: --filter update:: --filter events:: --filter pause:: --filter rootless:: --filter process::
SUITE
session='export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus'
scope='systemd-run --user --scope --quiet --property=Delegate=yes --'
exec su - rootless -c "cd; $session; exec $scope unshare --user --map-root-user --map-auto --mount --cgroup sh /run/rootless"
