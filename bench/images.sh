#!/usr/bin/env bash
# Pull and unpack against podman, docker and skopeo with umoci, on the same local registry, in pairs in one run: ratios are
# medians over the pairs. No puller but Hull ever waits for the disk, and Hull leaves layers to the kernel too; so the disk is
# idle when a pull begins, and how long a sync(1) takes behind it is shown beside it.
# HULL_BENCH_MB (1024) is the size of the 10-layer image, HULL_BENCH_FILES (100000) the number of small files,
# HULL_BENCH_ROUNDS (3) the pairs, HULL_BENCH_PEERS (podman umoci docker) the peers. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${HULL_BENCH_MB:-1024} files=${HULL_BENCH_FILES:-100000} rounds=${HULL_BENCH_ROUNDS:-3} peers=${HULL_BENCH_PEERS:-podman umoci docker}
work=$(mktemp -d /var/tmp/hull-bench-images.XXXXXX)
pids=()
# Removes a store whose layers are mounted.
wipe() {
    awk -v d="$1/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 50 umount
    rm -rf --one-file-system "$1"
}
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver overlay rmi -af > /dev/null 2>&1 || true
    umount -R "$work/podman/overlay" 2> /dev/null || true
    wipe "$work"
}
trap cleanup EXIT

# An OCI layout with two images: ten layers of data that gzip packs to four tenths, and one layer of many small files.
python3 - "$work/layout" "$size" "$files" << 'PYTHON'
import gzip, hashlib, io, json, os, random, sys, tarfile
root, size, count = sys.argv[1], int(sys.argv[2]) << 20, int(sys.argv[3])
os.makedirs(root + "/blobs/sha256")
random.seed(1)
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(f"{root}/blobs/sha256/{name}", "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
def layer(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name); info.size = len(data); info.mtime = 1
            tar.addfile(info, io.BytesIO(data))
    raw = raw.getvalue()
    return "sha256:" + hashlib.sha256(raw).hexdigest(), put(gzip.compress(raw, 6, mtime=0))
def image(tag, layers):
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [d for d, _ in layers]}}).encode())
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **l} for _, l in layers]}).encode())
    return {"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest, "annotations": {"org.opencontainers.image.ref.name": tag}}
words = [random.randbytes(24) for _ in range(4096)]
# A megabyte is far more than gzip looks back, so a file may be made of the same ones in another order.
megabytes = [b"".join(random.choice(words[:256]) + random.randbytes(8) for _ in range((1 << 20) // 32)) for _ in range(16)]
def text(length): return random.randbytes(32) + b"".join(random.choice(megabytes) for _ in range(-(-length >> 20)))[:length - 32]
big = [layer([(f"layer{l}/file{f}", text(size // 10 // 16)) for f in range(16)]) for l in range(10)]
other = big[:9] + [layer([("other", text(1 << 20))])]
small = [layer([(f"d{i // 500}/f{i}", words[i % 4096] * (i % 40)) for i in range(count)])]
open(root + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
json.dump({"schemaVersion": 2, "manifests": [image("big", big), image("other", other), image("small", small)]}, open(root + "/index.json", "w"))
PYTHON

out/bin/hull-registry --root "$work/registry" --listen 127.0.0.1:0 > "$work/registry.log" 2>&1 &
pids+=($!)
own=
for _ in $(seq 100); do own=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/registry.log" || true); [ -z "$own" ] || break; sleep 0.1; done
[ -n "$own" ] || { cat "$work/registry.log" >&2; exit 1; }

for tag in big other small; do
    skopeo copy -q --dest-tls-verify=false "oci:$work/layout:$tag" "docker://$own/bench:$tag"
done

# Runs a command with the disk idle: seconds, seconds of processors, MiB at its peak, and seconds of the sync behind it in
# $REPLY. Processor time is the least disturbed by what else runs on the machine.
once() {
    local seconds user system memory began
    sync
    /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" > "$work/out" 2>&1 || { cat "$work/out" >&2; return 1; }
    read -r seconds user system memory < "$work/time"
    began=$EPOCHREALTIME
    sync
    REPLY="$seconds $(awk -v u="$user" -v s="$system" 'BEGIN { print u + s }') $((memory / 1024)) $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')"
}

# pairs TAG NAME WIPE COMMAND...: pulls with Hull and with a peer in turn, and prints both and their ratios.
pairs() {
    local tag=$1 name=$2 wipe=$3; shift 3
    : > "$work/pairs"
    for _ in $(seq "$rounds"); do
        wipe "$work/hull"; once out/bin/hull pull --root "$work/hull" -q "$own/bench:$tag"; hull=$REPLY
        eval "$wipe" > /dev/null 2>&1 || true
        once "$@"
        echo "$hull $REPLY" >> "$work/pairs"
    done
    python3 - "$tag" "$name" "$work/pairs" << 'PYTHON'
import sys
tag, name, path = sys.argv[1:]
median = lambda values: sorted(values)[len(values) // 2]
rows = [[float(word) for word in line.split()] for line in open(path)]
hull, peer = [[median([row[i] for row in rows]) for i in range(first, first + 4)] for first in (0, 4)]
ratio = lambda a, b: median([sum(row[i] for i in a) / max(sum(row[i] for i in b), 0.001) for row in rows])
show = lambda name, row: f"{name:18} {row[0]:7.2f} s (processors {row[1]:6.2f} s) {row[2]:4.0f} MiB, sync {row[3]:5.2f} s"
print(f"{tag:6}{show('hull', hull)}\n      {show(name, peer)}   ratio: time {ratio([0], [4]):.2f}, with sync {ratio([0, 3], [4, 7]):.2f}, processors {ratio([1], [5]):.2f}, memory {ratio([2], [6]):.2f}")
PYTHON
}

unpack() { skopeo copy -q --src-tls-verify=false "docker://$own/bench:$1" "oci:$work/umoci:$1" && umoci unpack --image "$work/umoci:$1" "$work/bundle"; }
bound() { mkdir "$work/bound"; skopeo inspect --raw --tls-verify=false "docker://$own/bench:$1" | jq -r '.layers[].digest[7:]' | xargs -P "$(nproc)" -I{} tar -xzf "$work/layout/blobs/sha256/{}" -C "$work/bound"; }
export -f unpack bound; export own work
podman=(podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver overlay)
for tag in big small; do
    case $peers in *podman*) pairs $tag podman "${podman[*]} rmi -af" "${podman[@]}" pull -q --tls-verify=false "$own/bench:$tag" ;; esac
    case $peers in *umoci*) pairs $tag "skopeo and umoci" "rm -rf $work/umoci $work/bundle" bash -c "unpack $tag" ;; esac
    # What no puller can go below: inflating the layers with all cores and writing the files.
    pairs $tag "bound: gunzip, tar" "rm -rf $work/bound" bash -c "bound $tag"
done

# One dockerd at a time on a machine. What docker(1) needs is its client's: the engine's peak is shown behind it.
if [[ $peers = *docker* ]] && command -v dockerd > /dev/null; then
    (
        flock 9
        dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -H "unix://$work/docker.sock" -p "$work/docker.pid" --bridge none --iptables=false > "$work/docker.log" 2>&1 &
        daemon=$!
        docker=(docker -H "unix://$work/docker.sock")
        for _ in $(seq 100); do "${docker[@]}" info > /dev/null 2>&1 && break; sleep 0.2; done
        for tag in big small; do
            pairs $tag docker "${docker[*]} rmi -f $own/bench:$tag" "${docker[@]}" pull -q "$own/bench:$tag"
            awk '/^VmHWM/ { printf "       dockerd, peak of its own memory so far: %.0f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
        done
        kill "$daemon"; wait "$daemon" || true
    ) 9> /tmp/hull-dockerd.lock
fi

wipe "$work/hull"
out/bin/hull pull --root "$work/hull" -q "$own/bench:big" > /dev/null
before=$(du -sm "$work/hull" | cut -f1)
once out/bin/hull pull --root "$work/hull" -q "$own/bench:other"
echo "a second image that shares nine layers of ten, seconds, processors, MiB, sync: $REPLY; $(($(du -sm "$work/hull" | cut -f1) - before)) MiB more on disk"
