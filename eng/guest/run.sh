#!/usr/bin/env bash
# Runs test suites inside a machine of their own that has cgroup v2 only: QEMU without hardware support, Debian's cloud kernel,
# a disk of this host's programs. Ends with the sum line of eng/test.sh.
#   eng/guest/run.sh [--suites A,B] [--runtimes hull-runtime,runc] [--args "-class X"] [--timeout SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
suites=Hull.RuntimeContract.Tests,Hull.Linux.Tests runtimes=hull-runtime arguments="" limit=1800
while [ $# -gt 0 ]; do
    case "$1" in
        --suites) suites=$2; shift 2 ;;
        --runtimes) runtimes=$2; shift 2 ;;
        --args) arguments=$2; shift 2 ;;
        --timeout) limit=$2; shift 2 ;;
        *) echo "guest: unknown option $1: use --suites, --runtimes, --args or --timeout" >&2; exit 2 ;;
    esac
done
eng/guest/kernel.sh
eng/guest/initrd.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086
eng/guest/disk.sh "$work/disk.img" $(tr ',' '\n' <<< "$suites" | grep -v '^shell$')
log=out/guest/log
# Emulation works everywhere; HULL_GUEST_ACCEL=kvm is faster where the host really has it.
acceleration=${HULL_GUEST_ACCEL:-tcg}
timeout --kill-after=10 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -M q35,smbus=off,sata=off,usb=off,hpet=off,accel="$acceleration" -cpu max -smp 2 -m 2048 \
    -kernel out/guest/kernel/vmlinuz -initrd out/guest/initrd.gz \
    -append "console=ttyS0 quiet panic=-1 psi=1 cgroup_no_v1=all mitigations=off hull.suites=$suites hull.runtimes=$runtimes hull.args=$(printf %s "$arguments" | base64 -w0)" \
    -drive file="$work/disk.img",format=raw,if=none,id=disk,cache=unsafe -device virtio-blk-pci,drive=disk \
    -serial file:"$log" < /dev/null || { echo "guest: the machine did not end by itself within $limit s"; tail -n 20 "$log"; }
tr -d '\r' < "$log" > "$log.txt"
grep -E '^guest:|\[(FAIL|SKIP)\]' -A 6 "$log.txt" | grep -v '^--$' || true
passed=0 failed=0 skipped=0
while read -r total errors fails skips; do
    passed=$((passed + total - fails - skips)) failed=$((failed + errors + fails)) skipped=$((skipped + skips))
done < <(sed -nE 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\1 \2 \3 \4/p' "$log.txt")
grep -q '^guest: done' "$log.txt" || failed=$((failed + 1))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
