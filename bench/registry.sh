#!/usr/bin/env bash
# Hull's registry against Debian's docker-registry: the same load on both, in pairs that begin with the one and the other in
# turn. HULL_BENCH_BLOB_MB (512) is the size of the blob, HULL_BENCH_ROUNDS (5) the rounds, each with a new blob and three pairs
# of every pull, one client alone and four at once. Pulls are measured with a client that throws the bytes away inside the kernel
# (MSG_TRUNC), because curl copying them is most of what it would measure otherwise, and with curl as well. What a gigabyte costs
# in processor time is stated for the server and for the client, because each can leave work to the other. Before the pulls of
# a round all is written back, so that both servers read clean pages from memory, and neither pays for the other's pushes.
# Small requests are those a pull begins with.
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
    : > "$log"
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
import hashlib, http.client, os, re, resource, socket, subprocess, sys, time
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

def at_once(action, count):
    def run(*arguments):
        children = []
        for _ in range(count):
            child = os.fork()
            if child == 0:
                try:
                    action(*arguments)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        assert not any([os.waitpid(child, 0)[1] for child in children]), "a pull failed"
    return run

def clients_time():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

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
costs = {name: {} for name in servers}

def measure(what, name, count, action):
    address, pid = servers[name]
    began, server, clients = time.monotonic(), processor_time(pid), clients_time()
    action(address)
    seen[name].setdefault(what, []).append(count * size / 1e6 / (time.monotonic() - began))
    cost = costs[name].setdefault(what, [0, 0, 0])
    for place, more in enumerate((count * size / 1e9, processor_time(pid) - server, clients_time() - clients)): cost[place] += more

pulls = [(f"{what}, {count} at once" if count > 1 else what, at_once(action, count), count)
         for what, action in (("pull", pull), ("pull by curl", curl)) for count in (1, 4)]
pair = 0
for round in range(rounds):
    digest = content("blob", size)
    for name in sorted(servers, reverse=round % 2): measure("push", name, 1, lambda address: push(address, f"bench{round}", f"{work}/blob", digest))
    os.sync()
    for what, action, count in pulls:
        for _ in range(3):
            for name in sorted(servers, reverse=pair % 2): measure(what, name, count, lambda address: action(address, f"bench{round}", digest, size))
            pair += 1
for _ in range(2):
    for name, (address, _) in servers.items(): seen[name].setdefault("small requests per second", []).append(requests(address, small))

median = lambda values: sorted(values)[len(values) // 2]
for what in seen["hull"]:
    hull, peer = seen["hull"][what], seen["docker-registry"][what]
    unit = "" if what.startswith("small") else "MB/s"
    print(f"{what:36} hull {median(hull):9.2f}   docker-registry {median(peer):9.2f} {unit:4}   ratio {median([a / b for a, b in zip(hull, peer)]):.2f}")
for what in costs["hull"]:
    for place, whose in ((1, "server"), (2, "client")):
        hull, peer = (1000 * costs[name][what][place] / costs[name][what][0] for name in ("hull", "docker-registry"))
        print(f"{what + ', ' + whose + chr(39) + 's CPU':36} hull {hull:9.2f}   docker-registry {peer:9.2f} ms/GB  ratio {hull / max(peer, 1):.2f}")
memory = {name: int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024 for name, (_, pid) in servers.items()}
print(f"{'peak memory':36} hull {memory['hull']:9.2f}   docker-registry {memory['docker-registry']:9.2f} MiB    ratio {memory['hull'] / memory['docker-registry']:.2f}")
PYTHON
