# The behaviours of units as an ordinary user who is root in a user namespace of its own: the user's own manager makes the cgroups. It has to know the
# processes by the numbers that we have for them, and its cgroups have to be where it says: no namespaces of these two kinds.
cat > /run/rootless <<'SUITE'
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --systemd --filter systemd:: --filter cgroups:: --filter update:: --filter events:: \
    --filter pause:: --filter ps:: --filter exec_cgroup:: --filter lifecycle::
SUITE
session='export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus'
scope='systemd-run --user --scope --quiet --property=Delegate=yes --'
exec su - rootless -c "cd; $session; exec $scope unshare --user --map-root-user --map-auto --mount --net --ipc --uts sh /run/rootless"
