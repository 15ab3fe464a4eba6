# The core as root: what every container needs. /tmp may be a filesystem without devices.
mount --bind / /debian
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --debian /debian --filter lifecycle:: --filter state:: --filter mounts:: --filter exec:: --filter namespaces:: \
    --filter cgroups:: --filter cgroup_faults:: --filter pause:: --filter update:: --filter events:: --filter process:: --filter absent:: --filter seccomp::
