#!/usr/bin/env bash
# Virtual machines against dockerd's containers, in interleaved pairs in one run, and against QEMU alone: a cold boot of the
# same kernel to the same program. Then its exec, its root file system against the disks that it lies on, forks, and what a
# machine costs in memory.
# HULL_BENCH_ROUNDS (11) sets the pairs, HULL_BENCH_MACHINES (20) the machines, HULL_BENCH_LIVE=no makes every machine from
# its template's saved state, HULL_BENCH_POOL (0) keeps so many twins ready, HULL_BENCH_IMAGES (4) templates of images. Needs root, and
# no other dockerd running.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/out/bin:$PATH"
. bench/lib/timing.sh
rounds=${HULL_BENCH_ROUNDS:-11} machines=${HULL_BENCH_MACHINES:-20}
work=$(mktemp -d /var/tmp/hull-bench-vm.XXXXXX)
ours="unix://$work/hull.sock" theirs="unix://$work/docker.sock"
pids=()
cleanup() {
    hull -H "$ours" ps -aq 2> /dev/null | xargs -r hull -H "$ours" rm -f > /dev/null 2>&1 || true
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null && tail --pid="$pid" -f /dev/null || true; done
    ip netns delete "hull-bench-$$-h" 2> /dev/null || true
    ip netns delete "hull-bench-$$-d" 2> /dev/null || true
    awk -v top="$work/" 'index($2, top) == 1 { print $2 }' /proc/mounts | tac | xargs -r -n 1 umount -l
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

for side in h d; do
    ip netns add "hull-bench-$$-$side"
    nsenter "--net=/run/netns/hull-bench-$$-$side" ip link set lo up
done
hull image bootstrap --root "$work/hull" busybox > /dev/null
hull save --root "$work/hull" -o "$work/busybox.tar" busybox > /dev/null
# The engine has no way out of its namespace to fetch Debian's kernel: it is given the unpacked package.
package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package")
mkdir -p "$work/hull/vm/guest"
dpkg-deb -x "$work/$package"_*.deb "$work/hull/vm/guest/kernel.deb"
nsenter "--net=/run/netns/hull-bench-$$-h" hulld --data-root "$work/hull" --exec-root "$work/hull-run" -H "$ours" \
    "--vm-live-templates=$([ "${HULL_BENCH_LIVE:-yes}" = yes ] && echo true || echo false)" "--vm-warm-pool=${HULL_BENCH_POOL:-0}" \
    "--vm-image-templates=${HULL_BENCH_IMAGES:-4}" > "$work/hulld.log" 2>&1 &
pids+=($!)
nsenter "--net=/run/netns/hull-bench-$$-d" dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -p "$work/docker.pid" -H "$theirs" \
    > "$work/dockerd.log" 2>&1 &
pids+=($!)
for _ in $(seq 300); do
    docker -H "$theirs" version > /dev/null 2>&1 && docker -H "$ours" version > /dev/null 2>&1 && break
    sleep 0.1
done
docker -H "$theirs" load -q -i "$work/busybox.tar" > /dev/null
# The first machine boots the template, and has a live one made of it.
hull -H "$ours" run --rm --isolation vm busybox true
live() {
    [ "${HULL_BENCH_LIVE:-yes}" != yes ] || until curl -fsS --unix-socket "$work/hull.sock" http://hull/info | grep -q "\"live-templates\":\"$1\""; do sleep 0.2; done
}
live 1
# What is run again begins from a template of its image; the second run has it made.
hull -H "$ours" run --rm --isolation vm busybox true
hull -H "$ours" run --rm --isolation vm busybox true
[ "${HULL_BENCH_LIVE:-yes}" != yes ] || [ "${HULL_BENCH_IMAGES:-4}" = 0 ] ||
    until curl -fsS --unix-socket "$work/hull.sock" http://hull/info | grep -q '"image-templates":"1"'; do sleep 0.2; done

# pairs NAME "ours" "theirs": prints both medians and the median of the ratios pair by pair.
pairs() {
    local name=$1 i a b
    $2 > /dev/null; $3 > /dev/null
    : > "$work/a"; : > "$work/b"; : > "$work/ratio"
    for ((i = 0; i < rounds; i++)); do
        # shellcheck disable=SC2086
        a=$(elapsed $2) b=$(elapsed $3)
        echo "$a" >> "$work/a"; echo "$b" >> "$work/b"
        awk "BEGIN { print $a / $b }" >> "$work/ratio"
    done
    printf '%-52s %8.1f ms  %8.1f ms  ratio %.3f\n' "$name" "$(median < "$work/a" | awk '{ print $1 / 1000 }')" \
        "$(median < "$work/b" | awk '{ print $1 / 1000 }')" "$(median < "$work/ratio")"
}

# cold: QEMU boots the engine's kernel with an initramfs that holds the image's busybox, and runs true.
cold() {
    timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 -accel tcg -cpu max -m 256 -no-reboot \
        -kernel "$work/kernel" -initrd "$work/initrd" -append "quiet reboot=t panic=-1 rdinit=/init" > /dev/null 2>&1
}
cp "$(find "$work/hull/vm/guest" -name kernel -path '*/[0-9a-f]*' -type f | head -n 1)" "$work/kernel"
mkdir -p "$work/root/bin"
cp "$(command -v busybox)" "$work/root/bin/busybox"
ln -s busybox "$work/root/bin/true"
ln -s busybox "$work/root/bin/sh"
printf '#!/bin/sh\n/bin/true\n/bin/busybox poweroff -f\n' > "$work/root/init"
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd"

printf '%-52s %11s  %11s\n' "$rounds pairs" Hull peer
pairs "run --rm --isolation vm true / docker run --rm true" "hull -H $ours run --rm --isolation vm busybox true" "docker -H $theirs run --rm busybox true"
# Limits that no run had before: what has to be created is not there.
another() { hull -H "$ours" run --rm --isolation vm --ulimit "nofile=$((SRANDOM % 9000 + 1000))" busybox true; }
pairs "the same in a form that was never run before" another "docker -H $theirs run --rm busybox true"
pairs "the same with the docker CLI on both sides" "docker -H $ours run --rm --isolation vm busybox true" "docker -H $theirs run --rm busybox true"
pairs "run --rm --isolation vm true / cold boot to true" "hull -H $ours run --rm --isolation vm busybox true" cold
hull -H "$ours" run -d --isolation vm --name exec busybox sleep 1000 > /dev/null
docker -H "$theirs" run -d --name exec busybox sleep 1000 > /dev/null
pairs "exec true in a machine / docker exec true" "hull -H $ours exec exec true" "docker -H $theirs exec exec true"
docker -H "$theirs" rm -f exec > /dev/null

hull -H "$ours" rm -f exec > /dev/null
# Files of the image's layers and of the disk that a machine writes to, beside the same bytes of the same two virtio disks.
hull -H "$ours" run --name files busybox sh -c 'dd if=/dev/urandom of=/large bs=1M count=64; mkdir /many; i=0
    while [ $i -lt 500 ]; do dd if=/dev/urandom of=/many/$i bs=4k count=1; i=$((i + 1)); done' > /dev/null 2>&1
hull -H "$ours" commit files files > /dev/null
hull -H "$ours" rm files > /dev/null
hull -H "$ours" run -d --isolation vm --privileged --name files files sleep 10000 > /dev/null
hull -H "$ours" exec -i files sh -s "$((rounds < 5 ? rounds : 5))" < bench/lib/machine-files.sh > "$work/files"
hull -H "$ours" rm -f files > /dev/null
# files NAME TEXT: prints both medians and the median of the ratios; of a time below a step of the clock (10 ms) there is none.
files() {
    local ratio
    ratio=$(awk -v name="$1" '$1 == name { if ($2 * $3 == 0) exit 1; print $2 / $3 }' "$work/files" | median | xargs printf "ratio %.3f") \
        || ratio="no ratio: less than 10 ms"
    printf '%-52s %8.0f ms  %8.0f ms  %s\n' "$2" "$(awk -v name="$1" '$1 == name { print $2 }' "$work/files" | median)" \
        "$(awk -v name="$1" '$1 == name { print $3 }' "$work/files" | median)" "$ratio"
}
files layer-read "64 MiB of a layer read, cold / of its disk"
files write "64 MiB written with fsync / to the disk"
files read "the same read back, cold / from the disk"
files layer-files "500 files of a layer read, cold / of an ext4"
files make-files "500 files of 4 KiB copied with sync / on an ext4"
# A machine of 512 MiB that is running, duplicated.
hull -H "$ours" run --rm --isolation vm -m 512m busybox true
live 2
hull -H "$ours" run -d --isolation vm -m 512m --name source busybox sleep 1000 > /dev/null
: > "$work/a"; : > "$work/b"
for ((i = 0; i < rounds; i++)); do
    began=$EPOCHREALTIME
    curl -fsS --unix-socket "$work/hull.sock" -H 'Content-Type: application/json' -d '{"count": 1, "names": ["fork"]}' \
        http://hull/hull/v1/workloads/source/fork > "$work/said"
    ended=$EPOCHREALTIME
    echo $((${ended/./} - ${began/./})) >> "$work/a"
    sed -E 's/.*"pauseMilliseconds": *([0-9.]+).*/\1/' "$work/said" | awk '{ print $1 * 1000 }' >> "$work/b"
    hull -H "$ours" rm -f fork > /dev/null
done
printf '%-52s %8.1f ms\n' "fork of a running machine of 512 MiB" "$(median < "$work/a" | awk '{ print $1 / 1000 }')" \
    "its source stood still for" "$(median < "$work/b" | awk '{ print $1 / 1000 }')"
hull -H "$ours" rm -f source > /dev/null

for ((i = 0; i < machines; i++)); do hull -H "$ours" run -d --isolation vm --name "many$i" busybox sleep 1000 > /dev/null; done
sleep 2
# Pages of one machine alone, and its part of the live templates: of QEMU, of the process that stands for its init, and of the shim.
for pid in $(pgrep -f "name hull-"; pgrep -f "hull-vm monitor $work"; pgrep -f "hull-shim $work"); do
    [ ! -r "/proc/$pid/smaps_rollup" ] || cat "/proc/$pid/smaps_rollup"
done | awk -v machines="$machines" '/^Private/ { sum += $2 } END { printf "%-52s %8.1f MiB  of 256 nominal: %.1f %%\n", \
    "private memory of each of " machines " machines", sum / machines / 1024, sum / machines / 1024 / 256 * 100 }'
