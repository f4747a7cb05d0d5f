import http.server, os, socket

def count():
    with socket.create_connection((os.environ["STORE"], 6379)) as store:
        store.sendall(b"INCR visits\r\n")
        return store.recv(100).decode().strip(":\r\n")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = "ok" if self.path == "/health" else f"{socket.gethostname()} {count()}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode() + b"\n")

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
