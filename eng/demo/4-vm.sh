# Virtual machines: the image that ran as a container runs behind a machine's boundary, by the same verbs, on the same
# network. The engine of part 3 is used.
[ -n "${engine:-}" ] || . eng/demo/3-engine.sh

# The engine fetches Debian's kernel by the host's apt when its first machine is made. Here it has no way out of its network
# namespace, so that it is given the unpacked package.
kernel_package() {
    local package
    package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
    (cd "$DEMO" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    dpkg-deb -x "$DEMO/$package"_*.deb "$DEMO_CACHE/kernel.new"
    mv "$DEMO_CACHE/kernel.new" "$DEMO_CACHE/kernel"
}
[ -d "$DEMO_CACHE/kernel" ] || show "Debian's kernel for virtual machines" kernel_package
mkdir -p "$DEMO/engine/vm/guest"
cp -a "$DEMO_CACHE/kernel" "$DEMO/engine/vm/guest/kernel.deb"
# Its first machine boots the template that all later ones are cloned from.
show "a first virtual machine: guest image and template are made" \
    hull run --rm --isolation vm --network none busybox echo hello

show "the kernel under a container" hull run --rm --network none busybox uname -r
show "the kernel under a virtual machine, from the template" hull run --rm --isolation vm --network none busybox uname -r
show_failure "exit codes come through" 7 hull run --rm --isolation vm --network none busybox sh -c 'exit 7'
show "so does input" bash -c "echo typed | hull run -i --rm --isolation vm --network none busybox tr a-z A-Z"

serve='mkdir /www; echo "hello from a $0, Linux $(uname -r)" > /www/index.html; exec httpd -f -p 80 -h /www'
show "a network for both" hull network create mixed
show "a service as a container" hull run -d --name as-container --network mixed -p 8082:80 busybox sh -c "$serve" container
show "the same as a virtual machine" hull run -d --isolation vm --name as-vm --network mixed -p 8083:80 busybox sh -c "$serve" "virtual machine"
# answers ADDRESS PORT: waits until a service answers, which is when its program has come that far.
answers() {
    for _ in $(seq 100); do get "$1" "$2" 2> /dev/null | grep hello && return; sleep 0.1; done
    return 1
}
show "the container by its published port" answers 127.0.0.1 8082
show "the virtual machine by its published port" answers 127.0.0.1 8083
show "the machine reaches the container by name" hull exec as-vm wget -qO- http://as-container/
show "the container reaches the machine by name" hull exec as-container wget -qO- http://as-vm/
show "address and route inside the machine" hull exec as-vm sh -c 'ip -4 -o addr show eth0; ip route'
show "what runs" hull ps
show "what each uses" hull stats --no-stream as-container as-vm

# memory_of NAME: what a workload costs the host, by its cgroup; a machine's monitor and its QEMU are in it.
memory_of() {
    local id path
    id=$(hull inspect --format '{{.Id}}' "$1")
    for path in $(find /sys/fs/cgroup -type d -name "$id" 2> /dev/null); do
        cat "$path/memory.usage_in_bytes" 2> /dev/null || cat "$path/memory.current" 2> /dev/null || true
    done | head -n 1 | awk '{ printf "%.1f MiB\n", $1 / 1048576 }'
}
milliseconds() {
    local start=$EPOCHREALTIME end
    "$@" > /dev/null
    end=$EPOCHREALTIME
    echo "$(((${end/./} - ${start/./}) / 1000)) ms"
}
side_by_side() {
    printf '%-28s %12s %12s\n' "" container vm
    printf '%-28s %12s %12s\n' kernel "$(hull exec as-container uname -r)" "$(hull exec as-vm uname -r)"
    printf '%-28s %12s %12s\n' "run --rm ... true" "$(milliseconds hull run --rm --network none busybox true)" \
        "$(milliseconds hull run --rm --isolation vm --network none busybox true)"
    printf '%-28s %12s %12s\n' "memory it costs the host" "$(memory_of as-container)" "$(memory_of as-vm)"
}
show "one image, two isolations, side by side" side_by_side

show "the running machine, duplicated three times with its memory" hull fork --count 3 --name fork1 --name fork2 --name fork3 as-vm
for fork in fork1 fork2 fork3; do
    show "$fork answers by its name" hull exec as-container wget -qO- "http://$fork/"
done
show "each has a host name and random numbers of its own" bash -c \
    'for one in as-vm fork1 fork2 fork3; do hull exec $one sh -c "hostname; head -c 8 /dev/urandom | od -An -tx1"; done'
show "a snapshot of the running machine" hull snapshot create as-vm good
show "then it is damaged" hull exec as-vm sh -c 'echo damaged > /www/index.html'
show "as can be seen" hull exec as-container wget -qO- http://as-vm/
show "restored, memory and disk, it runs on from there" hull snapshot restore as-vm good
show "by name" hull exec as-container wget -qO- http://as-vm/
show "its snapshots" hull snapshot ls as-vm
show "files of the host in a machine" bash -c \
    'mkdir -p $DEMO/shared; echo from the host > $DEMO/shared/in; hull run --rm --isolation vm -v $DEMO/shared:/mnt busybox sh -c "cat /mnt/in; echo from the guest > /mnt/out"; cat $DEMO/shared/out'
if command -v docker > /dev/null; then
    show "the docker CLI, unmodified" docker run --rm --isolation vm --network mixed busybox wget -qO- http://as-vm/
fi
show "stop and remove all" hull rm -f as-container as-vm fork1 fork2 fork3
