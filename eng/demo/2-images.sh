# Images from the distribution's own signed packages, and a registry to hand them round.
store="$DEMO/images"
mkdir -p "$store"
show "an image from the distribution's packages" hull image bootstrap --root "$store" busybox
hull registry serve --listen 127.0.0.1:5555 --root "$DEMO/registry" > "$DEMO/registry.log" 2>&1 &
registry=$!
at_end "kill $registry"
for _ in $(seq 50); do (: < /dev/tcp/127.0.0.1/5555) 2> /dev/null && break; sleep 0.1; done
show "name it for a registry" hull tag --root "$store" busybox 127.0.0.1:5555/demo/busybox:1
show "push it to Hull's own" hull push --root "$store" 127.0.0.1:5555/demo/busybox:1
show "pull it into an empty store" hull pull --root "$DEMO/elsewhere" 127.0.0.1:5555/demo/busybox:1
show "every digest and reference is right" hull image verify --root "$DEMO/elsewhere"
