#!/usr/bin/env bash
# Builds the guest's disk: the programs the tests call with the libraries they need, the .NET runtime, hull-runtime and the
# test suites named as arguments. eng/guest/disk.sh DISK SUITE...
set -euo pipefail
cd "$(dirname "$0")/../.."
disk=$1
shift
framework=${HULL_FRAMEWORK:-$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,root,etc,mnt,lib,lib64,hull/bin,usr/bin,usr/sbin,usr/lib,usr/share,var/tmp}
chmod 1777 "$root/tmp" "$root/var/tmp"

add() { # a file with the shared libraries it names
    local file
    file=$(readlink -f "$1")
    mkdir -p "$root$(dirname "$file")"
    cp -n "$file" "$root$file" 2>/dev/null || true
    if [ "$1" != "$file" ]; then
        mkdir -p "$root$(dirname "$1")"
        ln -sf "$file" "$root$1"
    fi
    { ldd "$file" 2>/dev/null || true; } | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p' | while read -r library; do
        [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")"; cp -L "$library" "$root$library"; }
    done
}

for program in bash sh cat cp mv rm mkdir rmdir ls ln chmod chown stat readlink sleep true false echo env id head tail grep sed awk cut tr wc sort \
    find mount umount unshare nsenter hostname ionice chrt script kill ps dd tee touch date uname setpriv setsid timeout ip newuidmap \
    newgidmap busybox runc crun systemctl; do
    # Not the shell's own, which command -v would name.
    path=$(type -P "$program") || continue
    add "$path"
    [ -e "$root/bin/$program" ] || ln -s "$path" "$root/bin/$program"
    [ -e "$root/usr/bin/$program" ] || ln -s "$path" "$root/usr/bin/$program"
done
[ ! -e /lib/systemd/systemd ] || add /lib/systemd/systemd
for library in libseccomp.so.2 libstdc++.so.6 libgcc_s.so.1 libz.so.1 libbz2.so.1.0 liblzma.so.5 libzstd.so.1 libssl.so.3 libcrypto.so.3; do
    path=$(ldconfig -p | sed -n "s/.*$library .*x86-64.* => //p" | head -n 1)
    [ -z "$path" ] || add "$path"
    [ -z "$path" ] || [ -e "$root/lib/$library" ] || ln -s "$path" "$root/lib/$library"
done

dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
mkdir -p "$root$dotnet/shared"
cp -r "$dotnet/dotnet" "$dotnet/host" "$root$dotnet/"
cp -r "$dotnet/shared/Microsoft.NETCore.App" "$root$dotnet/shared/"
add "$dotnet/dotnet"
ln -sf "$dotnet/dotnet" "$root/usr/bin/dotnet"
for library in "$dotnet"/shared/Microsoft.NETCore.App/*/*.so; do add "$library"; done

for program in out/bin/hull-runtime; do
    [ -e "$program" ] || { echo "guest: $program is missing: run make build first" >&2; exit 1; }
    cp "$program" "$root/hull/bin/"
    add "$PWD/$program"
    rm -rf "${root:?}$PWD"
done
for suite in "$@"; do cp -r "out/build/$framework/bin/$suite/debug" "$root/hull/$suite"; done
printf 'root:x:0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
printf 'guest\n' > "$root/etc/hostname"
install -m 755 eng/guest/guest-init "$root/guest-init"

size=$(($(du -sm "$root" | cut -f1) + 2000)) # holes where nothing is written
rm -f "$disk"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$disk" "${size}M" > /dev/null
