# Sourced by the benchmarks that time whole commands.

# elapsed command ...: microseconds of one whole run.
elapsed() {
    local start=$EPOCHREALTIME end
    "$@" > /dev/null
    end=$EPOCHREALTIME
    echo $((${end/./} - ${start/./}))
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
