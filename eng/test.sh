#!/usr/bin/env bash
# Builds every test project and runs them one after the other; ends with the sum over all suites.
# Arguments are substrings of project names: eng/test.sh Core Runtime
set -uo pipefail
cd "$(dirname "$0")/.."
framework=${HULL_FRAMEWORK:-$(sed -n "s/.*== ''\">\(net[0-9.]*\)<.*/\1/p" Directory.Build.props)}
limit=${HULL_SUITE_TIMEOUT:-900}
logs=out/test
mkdir -p "$logs"

dotnet build Hull.slnx -v q --nologo -p:HullFramework="$framework" || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

passed=0 failed=0 skipped=0
while IFS= read -r project; do
    name=$(basename "$project" .csproj)
    if [ $# -gt 0 ]; then
        match=no
        for word in "$@"; do case "$name" in *"$word"*) match=yes ;; esac; done
        [ $match = yes ] || continue
    fi
    echo "== $name"
    log="$logs/$name.log"
    dll="out/build/$framework/bin/$name/debug/$name.dll"
    timeout --kill-after=10 "$limit" dotnet "$dll" -noColor -noLogo < /dev/null > "$log" 2>&1
    status=$?
    grep -E '\[(FAIL|SKIP)\]' -A 4 "$log" | grep -v '^--$' || true
    summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1)
    if [ -z "$summary" ]; then
        echo "$name: no result (exit code $status$([ $status -ge 124 ] && [ $status -le 137 ] && echo ", ran out of its $limit s"))"
        tail -n 30 "$log"
        failed=$((failed + 1))
        continue
    fi
    read -r total errors fails skips <<< "$(sed -E 's/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\1 \2 \3 \4/' <<< "$summary")"
    bad=$((errors + fails))
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && [ "$total" -gt 0 ] && bad=1
    passed=$((passed + total - fails - skips)) failed=$((failed + bad)) skipped=$((skipped + skips))
    echo "$name: $((total - fails - skips)) passed, $bad failed, $skips skipped"
done < <(find test -name '*.Tests.csproj' | sort)

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
