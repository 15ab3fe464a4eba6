# Makes the machine $1 of finish.sh, and then one whose security module is SELinux: a policy that systemd loads at boot, and a device of rdma to limit.
. "$(dirname "$0")/finish.sh"
# Permissive, because the disk has no labels. What the kernel then permits it still checks: a label that the policy does not know is refused.
printf 'SELINUX=permissive\nSELINUXTYPE=default\n' > "$1/etc/selinux/config"
printf '%s\n' rdma_rxe >> "$1/etc/modules-load.d/guest.conf"
