# The behaviours of units as an ordinary user who is root in a user namespace of its own: the user's own manager makes the cgroups. It has to know the
# processes by the numbers that we have for them, and its cgroups have to be where it says: no namespaces of these two kinds.
# Without one of processes no container can share ours and mount a proc of it, so the lives of containers are left to the other run of this user.
cat > /run/rootless <<'SUITE'
export TMPDIR=/var/tmp
exec unshare --user --map-root-user --map-auto --mount --net --ipc --uts /share/teu-conformance --runtime teu=/share/teu --systemd --filter systemd:: "$@"
SUITE
session='export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus'
scope='systemd-run --user --scope --quiet --property=Delegate=yes --'
others='--filter cgroups:: --filter update:: --filter events:: --filter unit_memory:: --filter pause:: --filter ps:: --filter exec_cgroup::'
su - rootless -c "cd; $session; exec $scope sh /run/rootless $others"
first=$?
# From a login, which is outside of what that manager has: it moves init, and every further process.
su - rootless -c "cd; $session; exec sh /run/rootless" && exit $first
