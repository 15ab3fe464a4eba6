# The same by the library, in the process of the suite.
export TMPDIR=/var/tmp
exec /share/teu-conformance --library lib --systemd --filter systemd:: --filter cgroups:: --filter cgroup_faults:: --filter resources:: --filter update:: \
    --filter events:: --filter unit_memory:: --filter pause:: --filter ps:: --filter exec_cgroup:: --filter lifecycle::
