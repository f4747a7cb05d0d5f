#!/usr/bin/env bash
# hull-runtime against crun and runc, whole process, in interleaved pairs with one spec. HULL_BENCH_ROUNDS sets the pairs.
set -euo pipefail
cd "$(dirname "$0")/.."
framework=${HULL_FRAMEWORK:-$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)}
dotnet build bench/Hull.Bench -c Release -v q --nologo -p:HullFramework="$framework" > /dev/null
# crun refuses a machine where v2 beside v1 has a controller; a v1 hierarchy in a mount namespace of its own takes hugetlb away.
if grep -qs hugetlb /sys/fs/cgroup/unified/cgroup.controllers; then
    mkdir -p /sys/fs/cgroup/hugetlb
    exec unshare -m --propagation private sh -c 'mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb && "$@"; code=$?
        find /sys/fs/cgroup/hugetlb -mindepth 1 -depth -type d -path "*hull-bench*" -exec rmdir {} + 2>/dev/null
        umount /sys/fs/cgroup/hugetlb; rmdir /sys/fs/cgroup/hugetlb; exit $code' \
        sh dotnet "out/build/$framework/bin/Hull.Bench/release/Hull.Bench.dll" runtime out/bin/hull-runtime
fi
exec dotnet "out/build/$framework/bin/Hull.Bench/release/Hull.Bench.dll" runtime out/bin/hull-runtime
