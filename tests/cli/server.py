# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on raw sockets that does what it is told, byte by byte: one thread per connection, a handler per
path, everything asked of it on record. Nothing is corrected on the way out, so it can lie as a hostile server lies."""

import select
import socket
import ssl
import struct
import threading


class Request:
    """One request as it arrived; connection is the number of the connection, turn its place on that connection."""

    def __init__(self, raw, connection, turn):
        self.raw = raw
        head = raw.split(b"\r\n\r\n", 1)[0].decode("latin-1")
        first, *lines = head.split("\r\n")
        self.method, self.target, self.version = (first.split(" ") + ["", ""])[:3]
        self.path = self.target.split("?", 1)[0]
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.connection = connection
        self.turn = turn


class Connection:
    """What a handler holds: send, stall, reset, end. A peer that has gone away ends the handler, not the server."""

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.kept = b""
        self.counted = 0

    def read_request(self, turn):
        data = self.kept
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return None
            data += piece
        head, self.kept = data.split(b"\r\n\r\n", 1)
        return Request(head + b"\r\n\r\n", self.number, turn)

    def send(self, *parts):
        for part in parts:
            self.sock.sendall(part if isinstance(part, bytes) else part.encode("latin-1"))

    def count_out(self):
        """No longer active. Before the last byte: with that the client may begin the next request elsewhere."""
        with self.server.lock:
            self.server.active -= self.counted
            self.counted = 0

    def answer(self, body=b"", status="200 OK", headers=(), length=True):
        """A correct answer: status line, headers, Content-Length, body."""
        lines = [f"HTTP/1.1 {status}"] + list(headers)
        if length:
            lines.append(f"Content-Length: {len(body)}")
        whole = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        self.send(whole[:-1])
        self.count_out()
        self.send(whole[-1:])

    def reset(self):
        """RST instead of FIN: linger of zero seconds."""
        plain = self.sock
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()

    def stall(self):
        """Send nothing more until the client gives up or the server stops."""
        while not self.server.stopping.is_set():
            ready, _, _ = select.select([self.sock], [], [], 0.05)
            if ready and not self.sock.recv(65536):
                return

    def hold(self):
        """Wait until the test opens the gate (server.release.set()), the client leaves or the server stops."""
        while not (self.server.release.is_set() or self.server.stopping.is_set()):
            ready, _, _ = select.select([self.sock], [], [], 0.02)
            if ready and not self.sock.recv(65536):
                return False
        return True

    def pause(self, seconds):
        """Between two dribbled bytes; ends at once when the server stops."""
        return not self.server.stopping.wait(seconds)


class Server:
    """with Server(handler) as server: server.url("/path"). The handler is called as handler(connection, request) and
    returns True to keep the connection for the next request."""

    def __init__(self, handler, context=None, backlog=512, host="127.0.0.1"):
        self.handler = handler
        self.context = context
        self.host = host
        self.release = threading.Event()
        self.stopping = threading.Event()
        self.lock = threading.Condition()
        self.requests = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.active = 0
        self.most_active = 0
        self.errors = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.living = set()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.release.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(10)
        self.listener.close()
        with self.lock:
            living = list(self.living)
        for sock in living:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def scheme(self):
        return "https" if self.context else "http"

    def url(self, path="/", userinfo=""):
        return f"{self.scheme}://{userinfo}{self.host}:{self.port}{path}"

    # Record -------------------------------------------------------------------------------------------------

    def seen(self, prefix=""):
        """Requests whose target starts so, in the order of arrival."""
        with self.lock:
            return [request for request in self.requests if request.target.startswith(prefix)]

    def wait_for(self, count, prefix="", seconds=30):
        """Until that many requests have come; False if they did not."""
        with self.lock:
            return self.lock.wait_for(
                lambda: sum(request.target.startswith(prefix) for request in self.requests) >= count, seconds)

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.most_open = self.open
            self.most_active = self.active

    # Service ------------------------------------------------------------------------------------------------

    def accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                self.living.add(sock)
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, raw, number):
        sock = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                raw.settimeout(30)
                sock = self.context.wrap_socket(raw, server_side=True)
                sock.settimeout(None)
            connection = Connection(self, sock, number)
            turn = 0
            while not self.stopping.is_set():
                request = connection.read_request(turn)
                if request is None:
                    break
                turn += 1
                with self.lock:
                    self.requests.append(request)
                    self.active += 1
                    connection.counted = 1
                    self.most_active = max(self.most_active, self.active)
                    self.lock.notify_all()
                try:
                    again = self.handler(connection, request)
                finally:
                    connection.count_out()
                if not again:
                    break
        except (OSError, ssl.SSLError, ValueError):
            pass                                    # the client left, which is its right
        except Exception as error:                  # a fault of the test itself: the test asks for .errors
            self.errors.append(error)
        finally:
            with self.lock:
                self.open -= 1
                self.living.discard(raw)
            for each in (sock, raw):
                try:
                    each.shutdown(socket.SHUT_WR)
                except (OSError, ValueError):
                    pass
            self.drain(sock)
            sock.close()
            raw.close()

    @staticmethod
    def drain(sock):
        """Closing with unread bytes would send RST and could take the last bytes of the answer with it."""
        try:
            sock.settimeout(0.2)
            while sock.recv(65536):
                pass
        except (OSError, ValueError):
            pass


def by_path(routes, otherwise=None):
    """A handler that picks by the longest prefix of the path."""
    ordered = sorted(routes, key=len, reverse=True)

    def handle(connection, request):
        for prefix in ordered:
            if request.path.startswith(prefix):
                return routes[prefix](connection, request)
        if otherwise:
            return otherwise(connection, request)
        connection.answer(b"nothing here", "404 Not Found")
        return True

    return handle


def whole(connection, request):
    """The good neighbour: 200 with a body that names the path, so that any mix-up shows."""
    connection.answer(f"body of {request.target}\n".encode("latin-1"))
    return True


def body_of(path):
    return f"body of {path}\n".encode("latin-1")
