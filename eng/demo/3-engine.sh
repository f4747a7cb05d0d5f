# The engine: a service run, published, reached and removed, by hull and by the docker CLI. It has a network namespace of
# its own here, so that the machine's interfaces and firewall stay as they are.
netns="hull-demo-$$"
ip netns add "$netns"
at_end "ip netns delete $netns"
inside=(nsenter "--net=/run/netns/$netns")
"${inside[@]}" ip link set lo up
export HULL_HOST="unix://$DEMO/hull.sock" DOCKER_HOST="unix://$DEMO/hull.sock"

if [ ! -d "$DEMO/engine/blobs" ] && [ ! -d "$DEMO/engine/content" ]; then
    show "the image the engine is to run" hull image bootstrap --root "$DEMO/engine" busybox
fi
"${inside[@]}" hulld --data-root "$DEMO/engine" --exec-root "$DEMO/engine-run" -H "$HULL_HOST" > "$DEMO/hulld.log" 2>&1 &
engine=$!
stop_engine() {
    hull ps -aq | xargs -r hull rm -f
    kill "$engine" && wait "$engine"
}
at_end stop_engine
for _ in $(seq 100); do [ -S "$DEMO/hull.sock" ] && break; sleep 0.1; done

# get ADDRESS PORT: what an HTTP server answers, by bash alone.
get() { "${inside[@]}" bash -c "exec 3<> /dev/tcp/$1/$2; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3" | tr -d '\r' | tail -n 1; }

show "a command in a container" hull run --rm busybox echo hello
show "and another" hull run --rm busybox uname -sr
show "a network" hull network create demo
show "a service on it, published" hull run -d --name web --network demo -p 8080:80 busybox \
    sh -c 'mkdir /www; echo "hello from the container" > /www/index.html; exec httpd -f -p 80 -h /www'
sleep 0.5
show "reached from the host" get 127.0.0.1 8080
show "reached by name from a neighbour" hull run --rm --network demo busybox wget -qO- http://web/
show "what runs" hull ps
show "a second program in it" hull exec web ps
show "stop and remove it" hull rm -f web
if command -v docker > /dev/null; then
    show "the same by the docker CLI" docker run -d --name web -p 8081:80 busybox \
        sh -c 'mkdir /www; echo "hello through docker" > /www/index.html; exec httpd -f -p 80 -h /www'
    sleep 0.5
    show "reached" get 127.0.0.1 8081
    show "its log and state" docker ps
    show "removed" docker rm -f web
fi
