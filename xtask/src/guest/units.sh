# Units by an older systemd, which knows fewer properties and sees less quickly that a scope has become empty.
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --systemd --filter systemd:: --filter update:: --filter exec_cgroup:: --filter cgroup_faults::
