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
if command -v docker > /dev/null; then
    show "the docker CLI, unmodified" docker run --rm --isolation vm --network mixed busybox wget -qO- http://as-vm/
fi
show "stop and remove both" hull rm -f as-container as-vm
