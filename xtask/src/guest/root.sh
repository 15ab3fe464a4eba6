# The suite as root, with teu's own cgroup driver.
mount --bind / /debian
exec /share/teu-conformance --runtime teu=/share/teu --debian /debian
