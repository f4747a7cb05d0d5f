#!/usr/bin/env bash
# Installs the Debian packages a group of commands needs: eng/deps.sh build|run|test|bench ...
# Only what is missing is asked of apt, so a second call costs nothing.
set -euo pipefail

build="clang lld zlib1g-dev libc6-dev make"
run="mmdebstrap bsdutils libseccomp2 libzstd1 liblzma5 libbz2-1.0 nftables iproute2 ca-certificates qemu-system-x86 qemu-utils e2fsprogs debian-archive-keyring"
test="$build $run gcc libc6-dev libseccomp-dev busybox-static crun runc podman buildah skopeo umoci docker-registry docker.io
      containerd docker-compose python3-docker debootstrap mmdebstrap erofs-utils jq curl uidmap socat strace cpio
      ovmf qemu-system-arm qemu-efi-aarch64 swtpm ipxe memtest86+ dosfstools mtools fdisk iptables attr libcap2-bin xz-utils systemd openssh-server zsh fish zstd bzip2"
# The Node clients: where there is a Node with its npm from elsewhere, it stays.
command -v npm > /dev/null || test="$test nodejs npm"
demo="docker.io"
# From Debian 13 on these are packages of their own.
if [ "$(. /etc/os-release && echo "${VERSION_ID:-0}")" -ge 13 ]; then
    run="$run virtiofsd"
    test="$test virtiofsd docker-cli"
    demo="$demo docker-cli"
fi
bench="$test hyperfine wrk time"

wanted=""
for group in "${@:-run}"; do
    case "$group" in
        build|run|test|bench|demo) wanted="$wanted ${!group}" ;;
        *) echo "deps: unknown group '$group': expected build, run, demo, test or bench" >&2; exit 2 ;;
    esac
done

missing=""
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "deps: these packages are missing, install them as root:$missing" >&2; exit 1; }

# Packages that bring a daemon must not start it: tests start their own, on their own sockets.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing > /dev/null
