# What touches cgroups on a host with the controllers of v1, by both drivers.
export TMPDIR=/var/tmp
run() {
    /share/teu-conformance --runtime teu=/share/teu "$@" --filter cgroups:: --filter cgroup_faults:: --filter resources:: --filter update:: --filter events:: \
        --filter pause:: --filter ps:: --filter exec_cgroup:: --filter cgroup_mounts::
}
run
first=$?
run --systemd --filter systemd:: && exit $first
