# SPDX-License-Identifier: Apache-2.0
"""What a hostile server does, one named behaviour each, and the verdict that `plait fetch` must give.

The verdict is the item's, whatever the executor: whole with exactly these bytes, or failed for one of these reasons.
Run alone it serves them all, for a look with other clients:

    python3 tests/cli/behaviours.py            # prints http://127.0.0.1:PORT/NAME/file for each NAME
"""

import gzip
import sys

from server import Server

# The options under which the verdicts hold.
OPTIONS = ["--retries", "0", "--max-size", "2M", "--stall-timeout", "2", "--connect-timeout", "5", "--timeout", "6"]
MAX_SIZE = 2 << 20

# Between two pieces of what has no end: all handlers share one interpreter with the good neighbours.
PACE = 0.002

ALL = {}


class Behaviour:
    def __init__(self, name, handler, whole, reasons, status, either):
        self.name = name
        self.handler = handler
        self.whole = whole                  # the bytes of the file, or None: the item must fail
        self.reasons = reasons              # acceptable reasons of a failure
        self.status = status                # the status in the report, or "any"
        self.either = either                # undecided by the documents: whole or failed, but the same everywhere


def behaviour(name, whole=None, reasons=(), status="any", either=False):
    def keep(handler):
        wanted = {reasons} if isinstance(reasons, str) else set(reasons)
        ALL[name] = Behaviour(name, handler, whole, wanted, 200 if whole is not None and status == "any" else status,
                              either)
        return handler
    return keep


def say(name, answer, **verdict):
    """A behaviour that is nothing but bytes, after which the connection ends."""
    raw = answer if isinstance(answer, bytes) else answer.encode("latin-1")
    behaviour(name, **verdict)(lambda connection, request: connection.send(raw))


def ok(*headers):
    return "HTTP/1.1 200 OK\r\n" + "".join(header + "\r\n" for header in headers) + "\r\n"


BODY = b"0123456789" * 10
CHUNKED = "Transfer-Encoding: chunked"

# Bodies that are whole ----------------------------------------------------------------------------------------

say("whole", ok("Content-Length: 100") + BODY.decode(), whole=BODY)
say("empty", ok("Content-Length: 0"), whole=b"")
say("no-length", ok("Connection: close") + BODY.decode(), whole=BODY)
say("no-length-empty", ok("Connection: close"), whole=b"")
say("http10", "HTTP/1.0 200 OK\r\n\r\n" + BODY.decode(), whole=BODY)
say("chunked", ok(CHUNKED) + "a\r\n0123456789\r\n" * 10 + "0\r\n\r\n", whole=BODY)
say("chunk-extensions", ok(CHUNKED) + 'a;name="v"\r\n0123456789\r\n' * 10 + "0;last\r\n\r\n", whole=BODY)
say("chunk-trailers", ok(CHUNKED, "Trailer: X-Sum") + "A\r\n0123456789\r\n" * 10 + "0\r\nX-Sum: 1\r\n\r\n", whole=BODY)
say("more-than-length", ok("Content-Length: 10") + "0123456789surplus of the body", whole=b"0123456789")
say("status-203", "HTTP/1.1 203 Non-Authoritative\r\nContent-Length: 100\r\n\r\n" + BODY.decode(), whole=BODY, status=203)
say("status-204", "HTTP/1.1 204 No Content\r\n\r\n", whole=b"", status=204)
say("continue-first", "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 100") + BODY.decode(), whole=BODY)
say("early-hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("Content-Length: 100") + BODY.decode(), whole=BODY)
say("disposition", ok("Content-Length: 100", 'Content-Disposition: attachment; filename="../../evil"') + BODY.decode(),
    whole=BODY)
GZIPPED = gzip.compress(BODY, mtime=0)
say("gzip", ok(f"Content-Length: {len(GZIPPED)}", "Content-Encoding: gzip").encode() + GZIPPED, whole=GZIPPED)
say("encoding-unknown", ok("Content-Length: 100", "Content-Encoding: rot13, br") + BODY.decode(), whole=BODY)
say("escapes-in-headers", ok("Content-Length: 100", "Server: \x1b]0;owned\x07\x1b[31m", "X-Evil: \x9b31m") + BODY.decode("ascii"),
    whole=BODY, either=True, reasons="http")
say("many-cookies", ok("Content-Length: 100", *[f"Set-Cookie: c{i}={'v' * 200}" for i in range(50)]) + BODY.decode(),
    whole=BODY)


@behaviour("exactly-max-size", whole=b"x" * MAX_SIZE)
def exactly_max_size(connection, request):
    connection.answer(b"x" * MAX_SIZE)


# Bodies that are not --------------------------------------------------------------------------------------------

say("short-body", ok("Content-Length: 1000") + BODY.decode(), reasons="short")
say("short-nothing", ok("Content-Length: 1000"), reasons="short")
say("short-by-one", ok("Content-Length: 101") + BODY.decode(), reasons="short")
say("cut-chunk", ok(CHUNKED) + "64\r\n0123456789", reasons="short")
say("cut-between-chunks", ok(CHUNKED) + "a\r\n0123456789\r\n", reasons="short")
say("cut-in-chunk-size", ok(CHUNKED) + "a\r\n0123456789\r\n1", reasons="short")
say("chunk-size-text", ok(CHUNKED) + "zz\r\n0123456789\r\n0\r\n\r\n", reasons={"short", "http"})
say("chunk-size-negative", ok(CHUNKED) + "-5\r\n0123456789\r\n0\r\n\r\n", reasons={"short", "http"})
say("chunk-size-huge", ok(CHUNKED) + "fffffffffffffffffff\r\n0123456789\r\n0\r\n\r\n", reasons={"short", "http", "too_large"})
say("chunk-no-crlf", ok(CHUNKED) + "a\r\n0123456789XX5\r\n01234\r\n0\r\n\r\n", reasons={"short", "http"})
say("two-lengths", ok("Content-Length: 100", "Content-Length: 50") + BODY.decode(), reasons={"http", "short"})
say("two-lengths-longer-last", ok("Content-Length: 50", "Content-Length: 100") + BODY.decode(), reasons={"http", "short"})
say("two-lengths-in-one", ok("Content-Length: 100, 50") + BODY.decode(), reasons={"http", "short"})
say("length-beyond-64-bits", ok("Content-Length: 99999999999999999999") + BODY.decode(), reasons={"http", "short", "too_large"})
say("length-2-to-63", ok("Content-Length: 9223372036854775808") + BODY.decode(), reasons={"http", "short", "too_large"})
say("length-negative", ok("Content-Length: -5") + BODY.decode(), reasons={"http", "short"})
say("length-text", ok("Content-Length: many") + BODY.decode(), reasons={"http", "short"})
say("length-and-chunked", ok("Content-Length: 7", CHUNKED) + "a\r\n0123456789\r\n0\r\n\r\n", whole=b"0123456789",
    either=True, reasons={"http", "short"})
say("announced-too-large", ok("Content-Length: 5000000000"), reasons="too_large")


@behaviour("reset-in-body", reasons={"short", "connect"})
def reset_in_body(connection, request):
    connection.send(ok("Content-Length: 1000"), BODY)
    connection.pause(0.05)
    connection.reset()


@behaviour("reset-in-chunks", reasons={"short", "connect"})
def reset_in_chunks(connection, request):
    connection.send(ok(CHUNKED), "a\r\n0123456789\r\n")
    connection.pause(0.05)
    connection.reset()


@behaviour("reset-first", reasons={"connect", "short", "http"}, status=None)
def reset_first(connection, request):
    connection.reset()


@behaviour("endless-chunks", reasons="too_large")
def endless_chunks(connection, request):
    connection.send(ok(CHUNKED))
    while connection.pause(PACE):
        connection.send(b"10000\r\n", b"e" * 0x10000, b"\r\n")


@behaviour("endless-no-length", reasons="too_large")
def endless_no_length(connection, request):
    connection.send(ok("Connection: close"))
    while connection.pause(PACE):
        connection.send(b"e" * 0x10000)


@behaviour("one-too-large", reasons="too_large")
def one_too_large(connection, request):
    connection.send(ok(CHUNKED), f"{MAX_SIZE + 1:x}\r\n", b"x" * (MAX_SIZE + 1), "\r\n0\r\n\r\n")


# Time -------------------------------------------------------------------------------------------------------------

@behaviour("stall-silent", reasons="stall", status=None)
def stall_silent(connection, request):
    connection.stall()


@behaviour("stall-in-head", reasons="stall")
def stall_in_head(connection, request):
    connection.send("HTTP/1.1 200 OK\r\nContent-Le")
    connection.stall()


@behaviour("stall-in-body", reasons="stall")
def stall_in_body(connection, request):
    connection.send(ok("Content-Length: 1000"), BODY)
    connection.stall()


@behaviour("dribbled-head", reasons={"timeout", "stall"})
def dribbled_head(connection, request):
    connection.send("HTTP/1.1 200 OK\r\nX-Slow: ")
    while connection.pause(0.3):
        connection.send("z")


@behaviour("dribbled-body", reasons={"timeout", "stall"})
def dribbled_body(connection, request):
    connection.send(ok("Content-Length: 100000"))
    while connection.pause(0.3):
        connection.send("z")


# Status lines and headers ------------------------------------------------------------------------------------------

say("closed-first", "", reasons={"connect", "http", "short"}, status=None)
say("closed-in-head", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-", reasons={"connect", "http", "short"})
say("unasked-206", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/1000\r\nContent-Length: 100\r\n\r\n"
    + BODY.decode(), reasons={"http", "range"}, status=206)
say("unasked-206-no-range", "HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n" + BODY.decode(),
    reasons={"http", "range"}, status=206)
say("unasked-206-multipart", "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b\r\n"
    "Content-Length: 100\r\n\r\n" + BODY.decode(), reasons={"http", "range"}, status=206)
say("unasked-416", "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n",
    reasons={"http", "range"}, status=416)
say("unasked-304", "HTTP/1.1 304 Not Modified\r\n\r\n", reasons="http", status=304)
for number in (201, 202, 205, 300, 305, 400, 401, 402, 403, 404, 405, 410, 418, 451, 500, 501, 502, 505, 599):
    say(f"status-{number}", f"HTTP/1.1 {number} So It Is\r\nContent-Length: 0\r\n\r\n",
        reasons={"http", "redirect"} if number in (300, 305) else "http", status=number)
say("trailer-status", f"HTTP/1.1 404 Not Found\r\n{CHUNKED}\r\n\r\n3\r\nabc\r\n0\r\nHTTP/1.1 200 O:K\r\n\r\n", reasons="http", status=404)
say("trailer-status-of-a-success", ok(CHUNKED) + "a\r\n0123456789\r\n0\r\nHTTP/1.1 404 O:K\r\n\r\n", whole=b"0123456789")
say("status-999", "HTTP/1.1 999 Beyond\r\nContent-Length: 100\r\n\r\n" + BODY.decode(), reasons="http")
say("status-text", "HTTP/1.1 two hundred\r\nContent-Length: 100\r\n\r\n" + BODY.decode(), reasons={"http", "connect", "short"})
say("http-0.9", BODY.decode(), reasons={"http", "connect", "short"})
say("http-7", "HTTP/7.3 200 OK\r\nContent-Length: 100\r\n\r\n" + BODY.decode(), reasons={"http", "connect", "short"})
say("not-http", "220 ftp.example.com ready\r\n" * 3, reasons={"http", "connect", "short"})
say("reason-with-escapes", "HTTP/1.1 404 \x1b[2J\x1b]0;owned\x07\x9b31m\x7f\xe2\x80\xae gone\r\nContent-Length: 0\r\n\r\n",
    reasons="http", status=404)
say("nul-in-header", ok("Content-Length: 100", "X-Nul: a\0b") + BODY.decode(), whole=BODY, either=True,
    reasons={"http", "connect", "short"})
say("header-without-colon", ok("Content-Length: 100", "this is no header") + BODY.decode(), whole=BODY, either=True,
    reasons={"http", "short"})
say("folded-header", ok("Content-Length: 100", "X-Folded: a\r\n  and more") + BODY.decode(), whole=BODY, either=True,
    reasons={"http", "short"})


@behaviour("unasked-101", reasons="http")
def unasked_101(connection, request):
    connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", BODY)
    connection.stall()


@behaviour("header-line-of-1-MB", reasons="http")
def header_line(connection, request):
    connection.send("HTTP/1.1 200 OK\r\nX-Long: ", b"h" * (1 << 20), "\r\nContent-Length: 100\r\n\r\n", BODY)


@behaviour("header-flood", reasons="http")
def header_flood(connection, request):
    connection.send("HTTP/1.1 200 OK\r\n")
    for block in range(200):
        connection.send("".join(f"X-Flood-{block}-{i}: {'v' * 60}\r\n" for i in range(100)))
    connection.send("Content-Length: 100\r\n\r\n", BODY)


@behaviour("header-endless", reasons="http")
def header_endless(connection, request):
    connection.send("HTTP/1.1 200 OK\r\n")
    while connection.pause(PACE):
        connection.send("X-Endless: and so on and on\r\n" * 100)


@behaviour("interim-endless", reasons={"http", "timeout"})
def interim_endless(connection, request):
    while connection.pause(PACE):
        connection.send("HTTP/1.1 100 Continue\r\nX-Again: yes\r\n\r\n" * 100)


# Redirects (what needs a second server is in test_redirects.py) ------------------------------------------------------

def redirect(name, location, code=302, **verdict):
    verdict.setdefault("reasons", "redirect")
    head = f"HTTP/1.1 {code} Over There\r\n" + (f"Location: {location}\r\n" if location is not None else "")
    say(name, head + "Content-Length: 0\r\nConnection: close\r\n\r\n", **verdict)


redirect("redirect-no-location", None, reasons={"redirect", "http"})
redirect("redirect-empty-location", "", reasons={"redirect", "http"})
redirect("redirect-self", "/redirect-self/file")
for number in (301, 302, 303, 307, 308):
    redirect(f"redirect-{number}", "/whole/file", number, whole=BODY)
redirect("redirect-relative", "../whole/elsewhere", whole=BODY)
redirect("redirect-file", "file:///etc/passwd")
redirect("redirect-ftp", "ftp://127.0.0.1:1/file")
redirect("redirect-gopher", "gopher://127.0.0.1:1/_x")
redirect("redirect-dict", "dict://127.0.0.1:1/d:x")
redirect("redirect-scp", "scp://127.0.0.1/etc/passwd")
redirect("redirect-javascript", "javascript:alert(1)", reasons={"redirect", "http"}, either=True)
redirect("redirect-data", "data:text/plain,hello", reasons={"redirect", "http"}, either=True)
redirect("redirect-no-host", "http://", reasons={"redirect", "url"})
redirect("redirect-bad-port", "http://127.0.0.1:99999/x", reasons={"redirect", "url"})
redirect("redirect-escape", "http://127.0.0.1:1/\x1b[31m\x9b", reasons={"redirect", "url", "connect"})
redirect("redirect-refused", "http://127.0.0.1:1/nobody-listens", reasons={"connect", "redirect"})
redirect("redirect-metadata", "http://169.254.169.254/latest/meta-data/")


def step(connection, request):
    """/redirect-chain-N/file goes through N redirects in all; the rest of the way stands in the query."""
    name = request.path.split("/")[1]
    total = int(name.rsplit("-", 1)[1])
    done = int(request.target.partition("?")[2] or "0")
    if done == total:
        connection.answer(BODY)
    else:
        connection.answer(b"", "302 Found", [f"Location: /{name}/file?{done + 1}"])
    return True


behaviour("redirect-chain-10", whole=BODY)(step)
behaviour("redirect-chain-11", reasons="redirect")(step)


@behaviour("redirect-endless-body", either=True, whole=BODY, reasons={"redirect", "too_large", "timeout"})
def redirect_endless_body(connection, request):
    connection.send(f"HTTP/1.1 302 Found\r\nLocation: /whole/file\r\n{CHUNKED}\r\n\r\n")
    while connection.pause(PACE):
        connection.send(b"10000\r\n", b"e" * 0x10000, b"\r\n")


def serve(connection, request):
    """The handler of the hostile server: /NAME/anything."""
    chosen = ALL.get(request.path.split("/")[1])
    if chosen is None:
        connection.answer(b"", "404 Not Found")
        return True
    return chosen.handler(connection, request)


def main():
    with Server(serve) as server:
        for name in ALL:
            print(server.url(f"/{name}/file"), flush=True)
        try:
            sys.stdin.read()                        # until the caller closes it
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
