#!/usr/bin/env bash
# Gets Debian's cloud kernel for the test guest into out/guest/kernel: downloaded as a package and unpacked, not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=out/guest/kernel
[ ! -s "$target/vmlinuz" ] || exit 0
mkdir -p out/guest/packages
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
if [ -z "$package" ]; then
    apt-get update -qq
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
fi
(cd out/guest/packages && apt-get download -qq "$package")
rm -rf out/guest/unpacked
dpkg-deb -x out/guest/packages/"$package"_*.deb out/guest/unpacked
rm -rf "$target"
mkdir -p "$target"
cp -r out/guest/unpacked/lib/modules/* "$target/"
mv "$target"/[0-9]* "$target/modules"
cp out/guest/unpacked/boot/vmlinuz-* "$target/vmlinuz"
rm -rf out/guest/unpacked
echo "guest: kernel of $package"
