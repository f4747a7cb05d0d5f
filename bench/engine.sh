#!/usr/bin/env bash
# The engine against dockerd with the same image, whole process, in interleaved pairs in one run. Each engine has a network
# namespace of its own. HULL_BENCH_ROUNDS (15) sets the pairs. Needs root, and no other dockerd running.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/out/bin:$PATH"
rounds=${HULL_BENCH_ROUNDS:-15}
work=$(mktemp -d /var/tmp/hull-bench-engine.XXXXXX)
ours="unix://$work/hull.sock" theirs="unix://$work/docker.sock"
pids=()
cleanup() {
    hull -H "$ours" ps -aq 2> /dev/null | xargs -r hull -H "$ours" rm -f > /dev/null 2>&1 || true
    docker -H "$theirs" ps -aq 2> /dev/null | xargs -r docker -H "$theirs" rm -f > /dev/null 2>&1 || true
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
nsenter "--net=/run/netns/hull-bench-$$-h" hulld --data-root "$work/hull" --exec-root "$work/hull-run" -H "$ours" > "$work/hulld.log" 2>&1 &
pids+=($!)
nsenter "--net=/run/netns/hull-bench-$$-d" dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -p "$work/docker.pid" -H "$theirs" \
    > "$work/dockerd.log" 2>&1 &
pids+=($!)
for _ in $(seq 300); do
    docker -H "$theirs" version > /dev/null 2>&1 && docker -H "$ours" version > /dev/null 2>&1 && break
    sleep 0.1
done
docker -H "$theirs" load -q -i "$work/busybox.tar" > /dev/null

# elapsed command ...: microseconds of one whole run.
elapsed() {
    local start=$EPOCHREALTIME end
    "$@" > /dev/null
    end=$EPOCHREALTIME
    echo $((${end/./} - ${start/./}))
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

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
    printf '%-44s %8.1f ms  %8.1f ms  ratio %.3f\n' "$name" "$(median < "$work/a" | awk '{ print $1 / 1000 }')" \
        "$(median < "$work/b" | awk '{ print $1 / 1000 }')" "$(median < "$work/ratio")"
}

# pss PID ...: proportional memory of processes, KiB.
pss() { for pid in "$@"; do cat "/proc/$pid/smaps_rollup"; done | awk '/^Pss:/ { sum += $2 } END { print sum }'; }

printf '%-44s %11s  %11s\n' "$rounds pairs" Hull dockerd
pairs "run --rm true, bridge, own client" "hull -H $ours run --rm busybox true" "docker -H $theirs run --rm busybox true"
pairs "run --rm true, bridge, docker CLI on both" "docker -H $ours run --rm busybox true" "docker -H $theirs run --rm busybox true"
hull -H "$ours" run -d --name exec busybox sleep 1000 > /dev/null
docker -H "$theirs" run -d --name exec busybox sleep 1000 > /dev/null
pairs "exec true, own client" "hull -H $ours exec exec true" "docker -H $theirs exec exec true"
hull -H "$ours" rm -f exec > /dev/null
docker -H "$theirs" rm -f exec > /dev/null
daemon=$(pgrep -f "hulld --data-root $work/hull" | head -n 1)
peer=$(cat "$work/docker.pid")
a=$(pss "$daemon") b=$(pss "$peer" $(pgrep -P "$peer"))
printf '%-44s %8d KiB %8d KiB  ratio %.3f\n' "memory of the idle engine" "$a" "$b" "$(awk "BEGIN { print $a / $b }")"
