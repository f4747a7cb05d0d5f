# hull-runtime by itself: an OCI bundle made from Debian's packages, and real programs in it.
rootfs="$DEMO/bundle/rootfs"
root="$DEMO/runtime"
runtime=(hull-runtime --root "$root")
mkdir -p "$rootfs"

if [ ! -s "$DEMO_CACHE/rootfs.tar" ]; then
    show "a root file system from Debian's packages" \
        mmdebstrap --quiet --variant=essential --include=perl-base bookworm "$DEMO_CACHE/rootfs.part.tar"
    mv "$DEMO_CACHE/rootfs.part.tar" "$DEMO_CACHE/rootfs.tar"
fi
show "unpack it" tar -xf "$DEMO_CACHE/rootfs.tar" -C "$rootfs"

# bundle NAME TERMINAL COMMAND...: a bundle that shares the root file system. The specification comes from hull-runtime.
bundle() {
    local dir="$DEMO/$1" terminal=$2 args
    shift 2
    mkdir -p "$dir"
    (cd "$dir" && hull-runtime spec)
    args=$(printf '"%s",' "$@")
    sed -i -z -e "s|\"args\": *\[[^]]*\]|\"args\": [${args%,}]|" -e "s|\"terminal\": *[a-z]*|\"terminal\": $terminal|" \
        -e "s|\"path\": *\"rootfs\"|\"path\": \"$rootfs\"|" -e 's|"readonly": *true|"readonly": false|' "$dir/config.json"
}

bundle hello false /bin/sh -c 'echo hello from $(. /etc/os-release; echo $PRETTY_NAME), process $$ of its own PID namespace'
show "a program in all namespaces" "${runtime[@]}" run --bundle "$DEMO/hello" demo-hello

bundle shell true /bin/sh -c 'tty; stty size; hostname; exit 3'
show_failure "a shell with a terminal, and its exit code" 3 \
    script -qec "${runtime[*]} run --bundle $DEMO/shell demo-shell" /dev/null

bundle limited false /usr/bin/perl -e 'my @a; push @a, q(x) x 1048576 while 1'
sed -i -z 's|"resources": *{|"resources": { "memory": { "limit": 67108864, "swap": 67108864 },|' "$DEMO/limited/config.json"
show_failure "a service limited to 64 MiB that wants more is killed" 137 "${runtime[@]}" run --bundle "$DEMO/limited" demo-limited

bundle service false /bin/sh -c 'while :; do sleep 1; done'
at_end "${runtime[*]} delete --force demo-service"
# Its output goes to a file: a service in the background would hold our pipe open.
show "a service in the background" sh -c "${runtime[*]} run --detach --bundle $DEMO/service demo-service > $DEMO/service.log 2>&1"
show "a second program in it" "${runtime[@]}" exec demo-service /bin/sh -c 'echo "I see:"; for p in /proc/[0-9]*; do tr "\0" " " < $p/cmdline; echo; done'
show "pause it" "${runtime[@]}" pause demo-service
show "what is there now" "${runtime[@]}" list
show "resume it" "${runtime[@]}" resume demo-service
show "stop it" "${runtime[@]}" kill demo-service KILL
sleep 0.2
show "and remove it" "${runtime[@]}" delete demo-service
show_failure "a command that does not exist" 127 "${runtime[@]}" run --bundle "$(bundle nothing false /bin/nothing; echo "$DEMO/nothing")" demo-nothing
