#!/usr/bin/env bash
# Pull and unpack against podman, docker and skopeo with umoci, on the same local registry in the same run.
# HULL_BENCH_MB (1024) is the size of the 10-layer image, HULL_BENCH_FILES (100000) the number of small files,
# HULL_BENCH_ROUNDS (3) the rounds. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${HULL_BENCH_MB:-1024} files=${HULL_BENCH_FILES:-100000} rounds=${HULL_BENCH_ROUNDS:-3}
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

# An OCI layout with two images: ten layers of middling compressible data, and one layer of many small files.
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
megabytes = [b"".join(random.choice(words) + random.randbytes(8) for _ in range((1 << 20) // 32)) for _ in range(16)]
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

# Best of the rounds: seconds and peak memory of a command, in $seconds and $memory (MiB).
measure() {
    local prepare=$1; shift
    seconds=999999 memory=0
    for _ in $(seq "$rounds"); do
        eval "$prepare" > /dev/null 2>&1 || true
        /usr/bin/time -f '%e %M' -o "$work/time" "$@" > "$work/out" 2>&1 || { cat "$work/out" >&2; return 1; }
        read -r s m < "$work/time"
        seconds=$(awk -v a="$seconds" -v b="$s" 'BEGIN { print (b < a ? b : a) }')
        memory=$(awk -v a="$memory" -v b="$m" 'BEGIN { print (b / 1024 > a ? b / 1024 : a) }')
    done
}
line() { printf '%-34s %8.2f s %8.0f MiB' "$1" "$seconds" "$memory"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

podman_pull=(podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver overlay pull -q --tls-verify=false)
unpack() { skopeo copy -q --src-tls-verify=false "docker://$own/bench:$1" "oci:$work/umoci:$1" && umoci unpack --image "$work/umoci:$1" "$work/bundle"; }
export -f unpack; export own work
for tag in big small; do
    measure "wipe $work/hull" out/bin/hull pull --root "$work/hull" -q "$own/bench:$tag"
    hull_s=$seconds hull_m=$memory; line "hull pull $tag"; echo
    declare "hull_s_$tag=$hull_s"
    measure "podman --root $work/podman --runroot $work/podman-run --storage-driver overlay rmi -af" "${podman_pull[@]}" "$own/bench:$tag"
    line "podman pull $tag"; echo "   hull/podman $(ratio "$hull_s" "$seconds") time, $(ratio "$hull_m" "$memory") memory"
    measure "rm -rf $work/umoci $work/bundle" bash -c "unpack $tag"
    line "skopeo copy, umoci unpack $tag"; echo "   hull/them $(ratio "$hull_s" "$seconds") time, $(ratio "$hull_m" "$memory") memory"
done

# One dockerd at a time on a machine; its memory is the daemon's and is not compared.
if command -v dockerd > /dev/null; then
    (
        flock 9
        dockerd --data-root "$work/docker" --exec-root "$work/docker-run" -H "unix://$work/docker.sock" -p "$work/docker.pid" --bridge none --iptables=false > "$work/docker.log" 2>&1 &
        daemon=$!
        for _ in $(seq 100); do docker -H "unix://$work/docker.sock" info > /dev/null 2>&1 && break; sleep 0.2; done
        for tag in big small; do
            measure "docker -H unix://$work/docker.sock rmi -f $own/bench:$tag" docker -H "unix://$work/docker.sock" pull -q "$own/bench:$tag"
            hull_s=hull_s_$tag
            line "docker pull $tag"; echo "   hull/docker $(ratio "${!hull_s}" "$seconds") time (the memory is the client's)"
        done
        awk '/^VmHWM/ { printf "dockerd, peak of its own memory %15.0f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
        kill "$daemon"; wait "$daemon" || true
    ) 9> /tmp/hull-dockerd.lock
fi

# The bound: inflating the layers with all cores and writing the files, which no puller can go below.
for tag in big small; do
    measure "rm -rf $work/bound" bash -c "mkdir $work/bound; skopeo inspect --raw --tls-verify=false docker://$own/bench:$tag | jq -r '.layers[].digest[7:]' | xargs -P \$(nproc) -I{} tar -xzf $work/layout/blobs/sha256/{} -C $work/bound"
    hull_s=hull_s_$tag
    line "bound of $tag (gunzip and tar)"; echo "   hull/bound $(ratio "${!hull_s}" "$seconds")"
done
wipe "$work/hull"
out/bin/hull pull --root "$work/hull" -q "$own/bench:big" > /dev/null
before=$(du -sm "$work/hull" | cut -f1)
measure true out/bin/hull pull --root "$work/hull" -q "$own/bench:other"
line "hull pull of a tenth layer more"; echo "   $(( $(du -sm "$work/hull" | cut -f1) - before )) MiB more on disk"
