#!/usr/bin/env bash
# Runs every scenario of bench/*.sh, or those whose names are given: bench/run.sh runtime images. Each prints its own ratios.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
for scenario in bench/*.sh; do
    name=$(basename "$scenario" .sh)
    [ "$name" != run ] || continue
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    echo "== $name"
    "$scenario" || { echo "$name: failed with $?" >&2; status=1; }
done
exit $status
