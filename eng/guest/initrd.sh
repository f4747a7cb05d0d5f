#!/usr/bin/env bash
# Builds out/guest/initrd.gz: busybox and the modules that make the disk visible. It mounts the disk and hands over to it.
set -euo pipefail
cd "$(dirname "$0")/../.."
modules=out/guest/kernel/modules
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,new,modules}
cp /bin/busybox "$root/bin/busybox"
order=""
for name in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk crc16 mbcache jbd2 crc32c_generic libcrc32c ext4 overlay fuse; do
    file=$(find "$modules" -name "$name.ko*" | head -n 1)
    # What is built into the kernel has no file.
    [ -n "$file" ] || continue
    cp "$file" "$root/modules/$name.ko"
    order="$order $name"
done
cat > "$root/init" <<EOS
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
for name in $order; do /bin/busybox insmod /modules/\$name.ko; done
n=0
while [ ! -b /dev/vda ] && [ \$n -lt 100 ]; do /bin/busybox usleep 50000; n=\$((n+1)); done
/bin/busybox mount -t ext4 /dev/vda /new || /bin/busybox poweroff -f
/bin/busybox mount --move /dev /new/dev
/bin/busybox mount --move /proc /new/proc
/bin/busybox mount --move /sys /new/sys
exec /bin/busybox switch_root /new /guest-init
EOS
chmod 755 "$root/init"
mkdir -p out/guest
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > out/guest/initrd.gz
