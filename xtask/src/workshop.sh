# Enters the workshop $1 with the sources $2 as /src and the target folder $3 as /build, and builds for $4 there. The machine's
# own certificates and name servers go along: behind a proxy no others serve.
mkdir -p "$1/src" "$1/build"
mount --bind -o ro "$2" "$1/src"
mount --bind "$3" "$1/build"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
mount --rbind /etc/ssl "$1/etc/ssl"
exec chroot "$1" sh -e /src/xtask/src/musl.sh "$4"
