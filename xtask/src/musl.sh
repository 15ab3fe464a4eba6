# Builds teu for the musl target $1, whose standard library Debian does not ship but has the source of.
export HOME=/build CARGO_HOME=/build/home CARGO_TARGET_DIR=/build
mkdir -p /build/unwind
cd /build/unwind
# std links a static libunwind. gcc's unwinder asks glibc's loader for a frame table first; told "not found", it walks the
# program headers as it does without glibc.
printf 'int _dl_find_object(void *pc, void *result) { (void)pc; (void)result; return -1; }\n' >absent.c
musl-gcc -O2 -c absent.c
cp "$(gcc -print-file-name=libgcc_eh.a)" libunwind.a
ar r libunwind.a absent.o 2>/dev/null
cd /src
# Building std from source is not a stable feature of cargo, in whatever release.
export RUSTC_BOOTSTRAP=1
name=$(printf %s "$1" | tr a-z- A-Z_)
export "CARGO_TARGET_${name}_LINKER=musl-gcc"
export RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static -C link-self-contained=no -L native=/build/unwind"
if ld --help | grep -q -e --section-ordering-file; then
	RUSTFLAGS="$RUSTFLAGS -C link-arg=-Wl,--section-ordering-file=/src/xtask/src/order.ld"
fi
exec cargo build --quiet --locked --release --package teu-cli --bin teu --target "$1" -Z build-std=std,panic_unwind
