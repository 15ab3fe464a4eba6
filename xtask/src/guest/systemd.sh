# What touches cgroups, as root, with systemd as the one who makes them.
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --systemd --filter systemd:: --filter cgroups:: --filter cgroup_faults:: --filter resources:: --filter update:: \
    --filter events:: --filter unit_memory:: --filter pause:: --filter ps:: --filter exec_cgroup:: --filter lifecycle:: --filter races::
