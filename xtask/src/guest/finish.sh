# Makes a machine of the fresh Debian root $1: who lives there, what it starts with, and the job that it is booted for.
# The job is /share/job.sh of the second disk: its output goes to one port of the host and its status to another, then the power goes off.
mount -t proc proc "$1/proc"
echo guest > "$1/etc/hostname"
printf '127.0.0.1 localhost guest\n' > "$1/etc/hosts"
printf '/dev/vda / ext4 defaults 0 1\n' > "$1/etc/fstab"
mkdir -p "$1/share" "$1/debian" "$1/var/lib/systemd/linger"
# The user whose containers are rootless, with subordinate ids and a session manager that runs without a login.
chroot "$1" useradd --create-home --shell /bin/bash rootless
grep -q '^rootless:' "$1/etc/subuid" || echo rootless:100000:65536 >> "$1/etc/subuid"
grep -q '^rootless:' "$1/etc/subgid" || echo rootless:100000:65536 >> "$1/etc/subgid"
touch "$1/var/lib/systemd/linger/rootless"
# Everything that a user may be given of cgroups.
mkdir -p "$1/etc/systemd/system/user@.service.d"
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' > "$1/etc/systemd/system/user@.service.d/delegate.conf"
printf '%s\n' dummy veth > "$1/etc/modules-load.d/guest.conf"
cat > "$1/etc/systemd/system/job.service" <<'UNIT'
[Unit]
Description=The job of the host
After=multi-user.target dbus.service user@1000.service
Wants=dbus.service user@1000.service
[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /share
ExecStart=/bin/sh -c '/bin/sh /share/job.sh >/dev/virtio-ports/teu.out 2>&1 </dev/null; echo $? >/dev/virtio-ports/teu.status'
ExecStopPost=/bin/systemctl poweroff --force --force
[Install]
WantedBy=multi-user.target
UNIT
chroot "$1" systemctl --quiet enable job.service
chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer man-db.timer dpkg-db-backup.timer \
    e2scrub_reap.service systemd-networkd-wait-online.service getty.target systemd-firstboot.service
# A small initial disk: nothing but what finds the root.
sed -i 's/^MODULES=.*/MODULES=list/' "$1/etc/initramfs-tools/initramfs.conf"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic > "$1/etc/initramfs-tools/modules"
chroot "$1" update-initramfs -u
rm -rf "$1/var/lib/apt/lists" "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"
