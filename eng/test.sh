#!/usr/bin/env bash
# Builds every test project and runs them one after the other; ends with the sum over all suites.
# Arguments are substrings of project names: eng/test.sh Core Runtime
# Tests that fail are run once more by themselves, and a suite that comes to no end once more whole, because machines are
# shared and noisy. What passes only then is named and counted as passed; a test that needs its second chance twice in a
# row of runs is to be mended.
set -uo pipefail
cd "$(dirname "$0")/.."
framework=${HULL_FRAMEWORK:-$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)}
limit=${HULL_SUITE_TIMEOUT:-720}
logs=out/test
mkdir -p "$logs"
: > "$logs/failures"

dotnet build Hull.slnx -v q --nologo -p:HullFramework="$framework" || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# run LOG DLL ARGUMENT...: runs a suite and sets total, errors, fails, skips and bad; false where it gave no result.
run() {
    local log=$1 dll=$2 summary status
    shift 2
    timeout --kill-after=10 "$limit" dotnet "$dll" -noColor -noLogo -longRunning 60 "$@" < /dev/null > "$log" 2>&1
    status=$?
    summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1)
    if [ -z "$summary" ]; then
        echo "no result (exit code $status$([ $status -ge 124 ] && [ $status -le 137 ] && echo ", ran out of its $limit s"))"
        # Which test it hung in, if it did: named again and again once it took a minute.
        grep -E 'Long Running Test' "$log" | tail -n 3
        tail -n 30 "$log"
        return 1
    fi
    read -r total errors fails skips <<< "$(sed -E 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\1 \2 \3 \4/' <<< "$summary")"
    bad=$((errors + fails))
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && [ "$total" -gt 0 ] && bad=1
    return 0
}

# The methods that failed, as arguments for running them alone.
failures() { grep -E '\[FAIL\]$' "$1" | sed -E 's/^ *//; s/ \[FAIL\]$//; s/\(.*//' | sort -u | sed 's/^/-method\n/'; }

passed=0 failed=0 skipped=0
while IFS= read -r project; do
    name=$(basename "$project" .csproj)
    if [ $# -gt 0 ]; then
        match=no
        for word in "$@"; do case "$name" in *"$word"*) match=yes ;; esac; done
        [ $match = yes ] || continue
    fi
    echo "== $name"
    began=$SECONDS
    log="$logs/$name.log"
    dll="out/build/$framework/bin/$name/debug/$name.dll"
    if ! run "$log" "$dll"; then
        mv "$log" "$log.first"
        echo "$name gave no result and is run again"
        if ! run "$log" "$dll"; then
            failed=$((failed + 1))
            { echo "$name gave no result:"; tail -n 15 "$log"; } >> "$logs/failures"
            continue
        fi
    fi
    grep -E '\[(FAIL|SKIP)\]' -A 4 "$log" | grep -v '^--$' || true
    good=$((total - fails - skips)) left=$bad skip=$skips
    if [ "$bad" -gt 0 ] && [ "$errors" -eq 0 ]; then
        mapfile -t again < <(failures "$log")
        first=$fails
        if [ ${#again[@]} -gt 0 ] && run "$log.again" "$dll" "${again[@]}" && [ "$bad" -eq 0 ] && [ "$total" -ge "$first" ]; then
            echo "$name: $first failed at first and passed when run again: ${again[*]/-method/}"
            good=$((good + first)) left=0
        else
            { echo "$name:"; grep -E '\[FAIL\]' -A 15 "$log.again"; } >> "$logs/failures"
        fi
    fi
    [ "$errors" -eq 0 ] || { echo "$name:"; grep -E '\[(FAIL|ERROR)\]|Cleanup Failure' -A 15 "$log"; } >> "$logs/failures"
    passed=$((passed + good)) failed=$((failed + left)) skipped=$((skipped + skip))
    echo "$name: $good passed, $left failed, $skip skipped ($((SECONDS - began)) s)"
done < <(find test -name '*.Tests.csproj' | sort)

# Last, where who sees only the end of a log still reads what is to be mended.
if [ -s "$logs/failures" ]; then
    echo "== Failed"
    cat "$logs/failures"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
