#!/usr/bin/env bash
# The main job, shown step by step with times: eng/demo.sh [part ...]; parts are the files of eng/demo/.
# Everything lives in one temporary directory and is gone afterwards, but for the package cache in out/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/out/bin:$PATH"
export DEMO_CACHE="$PWD/out/demo"
mkdir -p "$DEMO_CACHE"
DEMO=$(mktemp -d /tmp/hull-demo.XXXXXX)
export DEMO
undo=()
finish() {
    local status=$? i
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}" > /dev/null 2>&1 || true; done
    # Layers stay mounted as long as their store lives.
    awk -v top="$DEMO/" 'index($2, top) == 1 { print $2 }' /proc/mounts | tac | xargs -r -n 1 umount -l
    rm -rf --one-file-system "$DEMO"
    [ $status -eq 0 ] || echo "demo: failed with exit code $status" >&2
    exit $status
}
trap finish EXIT

# at_end COMMAND: run when the demo ends, last one first.
at_end() { undo+=("$1"); }

now() { date +%s%N; }

# show "what this shows" command ...: prints the command, its output and its time; stops the demo where it fails.
show() {
    local title=$1 start end
    shift
    printf '\n\033[1m── %s\033[0m\n   $ %s\n' "$title" "$*"
    start=$(now)
    "$@" 2>&1 | sed 's/^/   /'
    end=$(now)
    printf '   (%d.%d ms)\n' $(((end - start) / 1000000)) $((((end - start) / 100000) % 10))
}

# show_failure "what" expected-code command ...: the same for a command that must end with that exit code.
show_failure() {
    local title=$1 expected=$2 start end code=0
    shift 2
    printf '\n\033[1m── %s\033[0m\n   $ %s\n' "$title" "$*"
    start=$(now)
    "$@" > "$DEMO/output" 2>&1 || code=$?
    end=$(now)
    sed 's/^/   /' "$DEMO/output"
    printf '   exit code %d (%d.%d ms)\n' "$code" $(((end - start) / 1000000)) $((((end - start) / 100000) % 10))
    [ "$code" = "$expected" ] || { echo "demo: expected exit code $expected" >&2; return 1; }
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || for file in eng/demo/*.sh; do parts+=("$(basename "$file" .sh)"); done
for part in "${parts[@]}"; do
    printf '\n\033[1;7m %s \033[0m\n' "${part#*-}"
    # shellcheck disable=SC1090
    . "eng/demo/$part.sh"
done
printf '\nThe demo is over; nothing of it runs any more.\n'
