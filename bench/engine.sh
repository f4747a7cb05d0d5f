#!/usr/bin/env bash
# The engine against dockerd and podman with the same image, in interleaved pairs in one run. Each engine has a network
# namespace of its own. Arguments name the parts to measure: run exec parallel memory logs ports ps (all of them without).
# HULL_BENCH_ROUNDS (15) pairs, HULL_BENCH_LINES (10000000) lines of 100 bytes, HULL_BENCH_PS (1000) containers.
# Needs root. Another dockerd may run, but takes processor time from both sides. What is on the left of a line is Hull's.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/out/bin:$PATH"
. bench/lib/timing.sh
rounds=${HULL_BENCH_ROUNDS:-15} lines=${HULL_BENCH_LINES:-10000000} listed=${HULL_BENCH_PS:-1000}
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(run exec parallel memory logs ports ps)
work=$(mktemp -d /var/tmp/hull-bench-engine.XXXXXX)
name=hb$$
ours="unix://$work/hull.sock" theirs="unix://$work/docker.sock"
podman="nsenter --net=/run/netns/$name-p podman --root $work/podman --runroot $work/run/podman --cgroup-manager cgroupfs"
pids=()

in_h() { nsenter "--net=/run/netns/$name-h" "$@"; }
in_d() { nsenter "--net=/run/netns/$name-d" "$@"; }

cleanup() {
    hull -H "$ours" ps -aq 2> /dev/null | xargs -r hull -H "$ours" rm -f > /dev/null 2>&1 || true
    docker -H "$theirs" ps -aq 2> /dev/null | xargs -r -n 100 docker -H "$theirs" rm -f > /dev/null 2>&1 || true
    $podman rm -fa > /dev/null 2>&1 || true
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null && tail --pid="$pid" -f /dev/null || true; done
    for side in h d p o v; do ip netns delete "$name-$side" 2> /dev/null || true; done
    awk -v top="$work/" 'index($2, top) == 1 { print $2 }' /proc/mounts | tac | xargs -r -n 1 umount -l
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# Runtime files are on a tmpfs for all, as /run is on an installed machine.
mkdir "$work/run"
mount -t tmpfs -o mode=755 tmpfs "$work/run"
for side in h d p; do
    ip netns add "$name-$side"
    # Forwarding is on already, so that no engine closes the host to what is not its own.
    nsenter "--net=/run/netns/$name-$side" sh -c 'ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward'
done
hull image bootstrap --root "$work/hull" busybox > /dev/null
hull save --root "$work/hull" -o "$work/busybox.tar" busybox > /dev/null
# Not by the functions above: a subshell would be what is ended.
nsenter "--net=/run/netns/$name-h" hulld --data-root "$work/hull" --exec-root "$work/run/hull" -H "$ours" > "$work/hulld.log" 2>&1 &
pids+=($!)
nsenter "--net=/run/netns/$name-d" dockerd --data-root "$work/docker" --exec-root "$work/run/docker" -p "$work/docker.pid" -H "$theirs" > "$work/dockerd.log" 2>&1 &
pids+=($!)
for _ in $(seq 300); do
    docker -H "$theirs" version > /dev/null 2>&1 && docker -H "$ours" version > /dev/null 2>&1 && break
    sleep 0.1
done
docker -H "$theirs" load -q -i "$work/busybox.tar" > /dev/null
with_podman=
# Podman's own defaults raise hard limits, which root without CAP_SYS_RESOURCE may not.
printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' > "$work/containers.conf"
export CONTAINERS_CONF=$work/containers.conf
if command -v podman > /dev/null && $podman load -q -i "$work/busybox.tar" > /dev/null 2>&1 && $podman run --rm busybox true > /dev/null 2>&1; then
    with_podman=1
fi

# report NAME OURS THEIRS UNIT [TARGET]: the target is "<=0.2" or ">=3".
report() {
    awk -v name="$1" -v a="$2" -v b="$3" -v unit="$4" -v target="${5:-}" 'BEGIN {
        ratio = b > 0 ? a / b : 0
        verdict = ""
        if (target != "") {
            limit = substr(target, 3) + 0
            met = substr(target, 1, 1) == "<" ? ratio <= limit : ratio >= limit
            verdict = sprintf("  target %s %s", target, met ? "met" : "NOT MET")
        }
        printf "%-46s %9.1f %9.1f %-6s ratio %.3f%s\n", name, a, b, unit, ratio, verdict
    }'
}

# pairs NAME "ours" "theirs" [TARGET]: medians of both; the ratio is of the medians.
pairs() {
    local i
    $2 > /dev/null; $3 > /dev/null
    : > "$work/a"; : > "$work/b"
    for ((i = 0; i < rounds; i++)); do
        # shellcheck disable=SC2086
        elapsed $2 >> "$work/a"; elapsed $3 >> "$work/b"
    done
    report "$1" "$(median < "$work/a" | awk '{ print $1 / 1000 }')" "$(median < "$work/b" | awk '{ print $1 / 1000 }')" ms "${4:-}"
}

# pss PID ...: proportional memory of processes, KiB.
pss() { for pid in "$@"; do cat "/proc/$pid/smaps_rollup" 2> /dev/null; done | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'; }

# What an engine costs beside its containers' own processes.
pss_hull() { pss "${pids[0]}" $(pgrep -P "${pids[0]}" -x hull-shim); }
pss_docker() { pss $(cat "$work/docker.pid") $(pgrep -P "$(cat "$work/docker.pid")") $(pgrep -f "containerd-shim.*$work/run/docker"); }
pss_podman() { pss $(pgrep -f "conmon.*$work/podman"); }

post() { curl -sf --no-progress-meter -o /dev/null --unix-socket "${1#unix://}" -X POST -H 'Content-Type: application/json' "${@:2}"; }

# create SOCKET PREFIX COUNT: containers that sleep, by one connection.
create() {
    local i
    for ((i = 1; i <= $3; i++)); do
        printf 'next\nurl = "http://e/v1.41/containers/create?name=%s%d"\nunix-socket = "%s"\ndata = "{\\"Image\\":\\"busybox\\",\\"Cmd\\":[\\"sleep\\",\\"10000\\"]}"\nheader = "Content-Type: application/json"\noutput = /dev/null\nsilent\n' \
            "$2" "$i" "${1#unix://}"
    done | tail -n +2 | curl -K -
}

remove() { curl -s --no-progress-meter -o /dev/null --unix-socket "${1#unix://}" -Z --parallel-max 8 -X DELETE "http://e/v1.41/containers/$2[1-$3]?force=1"; }

measure_run() {
    pairs "run --rm true, own client / docker" "hull -H $ours run --rm busybox true" "docker -H $theirs run --rm busybox true" "<=0.06"
    pairs "run --rm true, docker CLI on both" "docker -H $ours run --rm busybox true" "docker -H $theirs run --rm busybox true" "<=0.15"
    [ -z "$with_podman" ] || pairs "run --rm true, own client / podman" "hull -H $ours run --rm busybox true" "$podman run --rm busybox true" "<=0.10"
}

measure_exec() {
    hull -H "$ours" run -d --name target busybox sleep 10000 > /dev/null
    docker -H "$theirs" run -d --name target busybox sleep 10000 > /dev/null
    pairs "exec true, own client / docker" "hull -H $ours exec target true" "docker -H $theirs exec target true" "<=0.15"
    pairs "exec true, docker CLI on both" "docker -H $ours exec target true" "docker -H $theirs exec target true"
    if [ -n "$with_podman" ]; then
        $podman run -d --name target busybox sleep 10000 > /dev/null
        pairs "exec true, own client / podman" "hull -H $ours exec target true" "$podman exec target true"
        $podman rm -f -t 0 target > /dev/null
    fi
    hull -H "$ours" rm -f target > /dev/null
    docker -H "$theirs" rm -f target > /dev/null
}

# The same client asks both for 100 starts at once; the figure is starts per second.
measure_parallel() {
    local socket rate=()
    for socket in "$ours" "$theirs"; do
        create "$socket" p 100
        rate+=("$(elapsed post "$socket" -Z --parallel-max 100 "http://e/v1.41/containers/p[1-100]/start" | awk '{ print 100e6 / $1 }')")
        [ "$(docker -H "$socket" ps -q | wc -l)" = 100 ] || echo "not all of 100 run on $socket" >&2
        remove "$socket" p 100
    done
    report "100 starts in parallel" "${rate[0]}" "${rate[1]}" "/s" ">=5"
    [ -n "$with_podman" ] || return 0
    seq 100 | xargs -I{} $podman create --name p{} busybox sleep 10000 > /dev/null
    rate[2]=$(elapsed sh -c "seq 100 | xargs -P 100 -I{} $podman start p{}" | awk '{ print 100e6 / $1 }')
    [ "$($podman ps -q | wc -l)" = 100 ] || echo "not all of 100 run under podman" >&2
    $podman rm -fa -t 0 > /dev/null
    report "100 starts in parallel / podman" "${rate[0]}" "${rate[2]}" "/s"
}

measure_memory() {
    local count=20 i idle_a idle_b busy_a busy_b
    sleep 20
    idle_a=$(pss_hull) idle_b=$(pss_docker)
    report "idle engine, after what was measured before" "$idle_a" "$idle_b" KiB "<=0.2"
    create "$ours" m "$count"; create "$theirs" m "$count"
    for ((i = 1; i <= count; i++)); do
        post "$ours" "http://e/v1.41/containers/m$i/start"; post "$theirs" "http://e/v1.41/containers/m$i/start"
    done
    sleep 20
    busy_a=$(pss_hull) busy_b=$(pss_docker)
    report "per running container, of $count" "$(((busy_a - idle_a) / count))" "$(((busy_b - idle_b) / count))" KiB "<=0.2"
    report "per shim" "$(($(pss $(pgrep -f "hull-shim $work/run/hull")) / count))" "$(($(pss $(pgrep -f "containerd-shim.*$work/run/docker")) / count))" KiB "<=0.1"
    if [ -n "$with_podman" ]; then
        for ((i = 1; i <= count; i++)); do $podman run -d --name "m$i" busybox sleep 10000 > /dev/null; done
        report "per running container / podman (conmon)" "$(((busy_a - idle_a) / count))" "$(($(pss_podman) / count))" KiB
        $podman rm -fa -t 0 > /dev/null
    fi
    remove "$ours" m "$count"; remove "$theirs" m "$count"
}

# How fast a container that only writes gets rid of it, and whether all of it is in the log.
measure_logs() {
    local socket cli command took rate=() text
    text=$(printf '%099d' 0)
    command="yes $text | head -n $lines"
    for socket in "$ours" "$theirs"; do
        took=$(elapsed docker -H "$socket" run --name writer --log-driver json-file --log-opt max-size=100g -d busybox sh -c "$command")
        took=$((took + $(elapsed docker -H "$socket" wait writer)))
        rate+=("$(awk "BEGIN { print $lines * 100 / $took }")")
        for file in "$work"/hull/workloads/*/output.log "$work"/docker/containers/*/*-json.log; do
            if [ -s "$file" ]; then echo "$lines $(wc -l < "$file") $file"; fi
        done | awk '{ if ($1 != $2) printf "log lines lost: %d of %d in %s\n", $1 - $2, $1, $3; else printf "log lines: all %d there\n", $1 }'
        docker -H "$socket" rm -f writer > /dev/null
    done
    report "log of lines of 100 bytes" "${rate[0]}" "${rate[1]}" "MB/s" ">=3"
    [ -n "$with_podman" ] || return 0
    took=$(elapsed $podman run --name writer --log-driver k8s-file busybox sh -c "$command")
    rate[2]=$(awk "BEGIN { print $lines * 100 / $took }")
    $podman rm -f writer > /dev/null
    report "log of lines of 100 bytes / podman" "${rate[0]}" "${rate[2]}" "MB/s"
}

# From another namespace through a host to a server: by a published port of Hull's and of Docker's, and, as the measure of
# both, by a veth in Hull's host without bridge or translation. HTTP: a file of 256 MB, and small requests one by one.
measure_ports() {
    local side socket round rate=() delay=() serve
    declare -A url
    serve='mkdir -p /w; dd if=/dev/zero of=/w/big bs=1M count=256 2>/dev/null; echo ok > /w/small; exec httpd -f -p 80 -h /w'
    ip netns add "$name-o"
    for side in h d; do
        socket=$([ $side = h ] && echo "$ours" || echo "$theirs")
        url[$side]=http://10.250.$([ $side = h ] && echo 1 || echo 2).1:8080
        ip link add "$name$side" netns "$name-o" type veth peer name up0 netns "$name-$side"
        "in_$side" sh -c "ip addr add ${url[$side]:7:10}/24 dev up0; ip link set up0 up"
        in_o sh -c "ip addr add ${url[$side]:7:9}2/24 dev $name$side; ip link set $name$side up"
        docker -H "$socket" run -d --name web -p 0.0.0.0:8080:80 busybox sh -c "$serve" > /dev/null
    done
    plain_server "$serve"
    url[v]=http://10.250.3.2
    in_o ip route add 10.250.3.0/24 via 10.250.1.1
    for side in h d v; do
        for round in $(seq 200); do
            in_o curl -sf -o /dev/null "${url[$side]}/small" && break
            [ "$round" -lt 200 ] || { echo "no answer from ${url[$side]}" >&2; return 1; }
            sleep 0.1
        done
    done
    for round in $(seq 9); do
        for side in h d v; do
            in_o curl -sf -o /dev/null -w '%{speed_download}\n' "${url[$side]}/big" >> "$work/rate-$side"
            in_o curl -sf -o /dev/null -w '%{time_total}\n' "${url[$side]}/small?[1-200]" >> "$work/delay-$side"
        done
    done
    for side in h d v; do
        rate+=("$(median < "$work/rate-$side" | awk '{ print $1 / 1e6 }')")
        delay+=("$(median < "$work/delay-$side" | awk '{ print $1 * 1e6 }')")
    done
    report "published port / plain veth, throughput" "${rate[0]}" "${rate[2]}" "MB/s" ">=0.97"
    report "published port / plain veth, small request" "${delay[0]}" "${delay[2]}" us "<=1.03"
    report "published port / docker, throughput" "${rate[0]}" "${rate[1]}" "MB/s"
    report "published port / docker, small request" "${delay[0]}" "${delay[1]}" us
    hull -H "$ours" rm -f web > /dev/null
    docker -H "$theirs" rm -f web > /dev/null
}

in_o() { nsenter "--net=/run/netns/$name-o" "$@"; }

# plain_server COMMAND: the same program of the same image in a namespace of its own, on a veth of Hull's host.
plain_server() {
    ip netns add "$name-v"
    ip link add plain0 netns "$name-h" type veth peer name eth0 netns "$name-v"
    in_h sh -c 'ip addr add 10.250.3.1/24 dev plain0; ip link set plain0 up'
    nsenter "--net=/run/netns/$name-v" sh -c 'ip addr add 10.250.3.2/24 dev eth0; ip link set eth0 up; ip link set lo up; ip route add default via 10.250.3.1'
    mkdir -p "$work/plain"
    tar -B -C "$work/plain" -xf <(docker -H "$ours" create --name plain busybox true > /dev/null && docker -H "$ours" export plain)
    docker -H "$ours" rm -f plain > /dev/null
    mkdir -p "$work/plain/dev"
    mknod "$work/plain/dev/zero" c 1 5
    mknod "$work/plain/dev/null" c 1 3
    nsenter "--net=/run/netns/$name-v" chroot "$work/plain" sh -c "$1" > /dev/null 2>&1 &
    pids+=($!)
}

measure_ps() {
    create "$ours" l "$listed"; create "$theirs" l "$listed"
    pairs "ps -a of $listed, own client / docker" "hull -H $ours ps -a" "docker -H $theirs ps -a"
    pairs "ps -a of $listed, docker CLI on both" "docker -H $ours ps -a" "docker -H $theirs ps -a"
    remove "$ours" l "$listed"; remove "$theirs" l "$listed"
}

printf '%-46s %9s %9s\n' "$rounds pairs" Hull peer
for part in "${parts[@]}"; do
    "measure_$part"
done
