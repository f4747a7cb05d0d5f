#!/usr/bin/env bash
# Hull's registry against Debian's docker-registry: the same load on both, round by round in turn. HULL_BENCH_BLOB_MB (512) is
# the size of the blob, HULL_BENCH_ROUNDS (5) the rounds. Pulls are measured with a client that throws the bytes away inside
# the kernel (MSG_TRUNC), because curl copying them is most of what it would measure otherwise, and with curl as well; how much
# processor time a server needs for a gigabyte does not depend on the client. Small requests are those a pull begins with.
set -euo pipefail
cd "$(dirname "$0")/.."
blob=${HULL_BENCH_BLOB_MB:-512} rounds=${HULL_BENCH_ROUNDS:-5}
work=$(mktemp -d /var/tmp/hull-bench-registry.XXXXXX)
# In a virtual machine the first use of a page costs more than copying into it: it is paid before anything is measured.
python3 -c "m = bytearray($blob << 20) * $((2 * rounds + 3))" || true
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# A registry, its address in REPLY once it answers, its process in $pid.
start() {
    local log=$work/$1.log; shift
    "$@" > "$log" 2>&1 &
    pid=$!; pids+=("$pid")
    for _ in $(seq 100); do
        REPLY=$(grep -oE '127\.0\.0\.1:[0-9]+' "$log" | tail -n 1 || true)
        if [ -n "$REPLY" ] && curl -s "http://$REPLY/v2/" > /dev/null; then return; fi
        sleep 0.1
    done
    cat "$log" >&2; return 1
}
printf 'version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: 127.0.0.1:0\n' "$work/peer" > "$work/peer.yml"
start hull out/bin/hull-registry --root "$work/registry" --listen 127.0.0.1:0; own=$REPLY own_pid=$pid
start peer docker-registry serve "$work/peer.yml"; peer=$REPLY peer_pid=$pid

python3 - "$work" "$blob" "$rounds" "$own" "$own_pid" "$peer" "$peer_pid" << 'PYTHON'
import hashlib, http.client, os, re, socket, subprocess, sys, time
work, megabytes, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
servers = {"hull": (sys.argv[4], int(sys.argv[5])), "docker-registry": (sys.argv[6], int(sys.argv[7]))}
MSG_TRUNC = 0x20

def processor_time(pid):
    # Of all threads, those that ended included.
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def push(address, repository, path, digest):
    connection = http.client.HTTPConnection(address)
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse(); answer.read()
    location = re.sub("^http://[^/]*", "", answer.getheader("Location"))
    connection.putrequest("PUT", location + ("&" if "?" in location else "?") + "digest=" + digest)
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(os.path.getsize(path)))
    connection.endheaders()
    with open(path, "rb") as file: connection.sock.sendfile(file)
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()

def pull(address, repository, digest, size):
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET /v2/{repository}/blobs/{digest} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
    buffer, count = bytearray(1 << 20), 0
    while received := connection.recv_into(buffer, len(buffer), MSG_TRUNC if count else 0): count += received
    connection.close()
    assert size < count < size + 4096, count

def curl(address, repository, digest, size):
    subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://{address}/v2/{repository}/blobs/{digest}"], check=True)

def requests(address, digest):
    out = subprocess.run(["wrk", "-t1", "-c4", "-d2", f"http://{address}/v2/small/blobs/{digest}"], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", out)[1])

def content(name, size):
    data = os.urandom(size)
    open(f"{work}/{name}", "wb").write(data)
    return "sha256:" + hashlib.sha256(data).hexdigest()

size = megabytes << 20
small = content("small", 2000)
for address, _ in servers.values(): push(address, "small", f"{work}/small", small)
seen = {name: {} for name in servers}
for round in range(rounds):
    digest = content("blob", size)
    for what, action in (("push", push), ("pull", pull), ("pull by curl", curl)):
        for name, (address, pid) in servers.items():
            began, used = time.monotonic(), processor_time(pid)
            if what == "push": push(address, f"bench{round}", f"{work}/blob", digest)
            else: action(address, f"bench{round}", digest, size)
            seen[name].setdefault(what, []).append(size / 1e6 / (time.monotonic() - began))
            seen[name].setdefault(what + ", GB per CPU second", []).append(size / 1e9 / max(processor_time(pid) - used, 0.01))
for _ in range(2):
    for name, (address, _) in servers.items(): seen[name].setdefault("small requests per second", []).append(requests(address, small))

median = lambda values: sorted(values)[len(values) // 2]
for what in seen["hull"]:
    hull, peer = seen["hull"][what], seen["docker-registry"][what]
    unit = "MB/s" if what in ("push", "pull", "pull by curl") else ""
    print(f"{what:36} hull {median(hull):9.2f}   docker-registry {median(peer):9.2f} {unit:4}   ratio {median([a / b for a, b in zip(hull, peer)]):.2f}")
memory = {name: int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024 for name, (_, pid) in servers.items()}
print(f"{'peak memory':36} hull {memory['hull']:9.2f}   docker-registry {memory['docker-registry']:9.2f} MiB    ratio {memory['hull'] / memory['docker-registry']:.2f}")
PYTHON
