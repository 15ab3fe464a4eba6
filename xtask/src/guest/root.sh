# The suite as root, with teu's own cgroup driver. /tmp is a filesystem without devices here.
mount --bind / /debian
export TMPDIR=/var/tmp
exec /share/teu-conformance --runtime teu=/share/teu --debian /debian
