# The core as root: what every container needs.
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --filter lifecycle:: --filter state:: --filter mounts:: --filter exec:: --filter namespaces:: \
    --filter cgroups:: --filter cgroup_faults:: --filter pause:: --filter update:: --filter events:: --filter process:: --filter absent:: --filter seccomp::
