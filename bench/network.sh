#!/usr/bin/env bash
# The network's share of a start, against what podman calls (the CNI plugins) on the same machine in the same run, and the throughput of a
# published port against a plain veth. Everything happens in network namespaces of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
framework=$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)
rounds=${1:-50}
dotnet publish bench/network -c Release -r linux-x64 -v q --nologo -p:HullFramework="$framework" > /dev/null
program=$PWD/out/build/$framework/publish/Hull.NetworkBench/release_linux-x64/Hull.NetworkBench
directory=$(mktemp -d /dev/shm/hull-bench-network.XXXXXX)
trap 'rm -rf "$directory"' EXIT

unshare --net --mount sh -c 'ip link set lo up; exec "$@"' sh "$program" "$directory" "$rounds" | tee "$directory/result"

# What podman asks of the CNI plugins on the same kernel: bridge, veth, address, route, one published port.
if [ -x /usr/lib/cni/bridge ] && [ -x /usr/lib/cni/portmap ]; then
    unshare --net --mount sh -c '
        rounds=$1 directory=$2
        ip link set lo up
        mount -t tmpfs none /run
        mkdir -p /run/netns
        export CNI_PATH=/usr/lib/cni CNI_IFNAME=eth0
        for i in $(seq "$rounds"); do
            export CNI_CONTAINERID="bench$i" CNI_NETNS="/run/netns/bench$i"
            bridge="{\"cniVersion\":\"0.4.0\",\"name\":\"bench\",\"type\":\"bridge\",\"bridge\":\"bench0\",\"isGateway\":true,\"ipMasq\":true,\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"/run/ipam\",\"ranges\":[[{\"subnet\":\"10.91.0.0/16\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}"
            start=$(date +%s%N)
            ip netns add "bench$i"
            result=$(echo "$bridge" | CNI_COMMAND=ADD /usr/lib/cni/bridge)
            port="{\"cniVersion\":\"0.4.0\",\"name\":\"bench\",\"type\":\"portmap\",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":$((20000 + i)),\"containerPort\":80,\"protocol\":\"tcp\"}]},\"prevResult\":$result}"
            echo "$port" | CNI_COMMAND=ADD /usr/lib/cni/portmap > /dev/null
            end=$(date +%s%N)
            echo $(((end - start) / 1000))
            echo "$port" | CNI_COMMAND=DEL /usr/lib/cni/portmap
            echo "$bridge" | CNI_COMMAND=DEL /usr/lib/cni/bridge
            ip netns del "bench$i"
        done' sh "$rounds" "$directory" | sort -n > "$directory/peer"
    peer=$(awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] / 1000 }' "$directory/peer")
    own=$(awk '/^set up/ { print $4 }' "$directory/result")
    awk -v own="$own" -v peer="$peer" 'BEGIN { printf "podman (CNI plugins) set up median %.2f ms; hull/podman %.3f\n", peer, own / peer }'
else
    echo "no peer: the package containernetworking-plugins is not installed"
fi
