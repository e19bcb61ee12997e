# SPDX-License-Identifier: Apache-2.0
# limit: 120
"""What is retried, how often, how long it waits, and that one slow host holds up no other."""

import email.utils
import re
import socket
import threading
import time

import support
from server import Server, body_of, whole


class Burst:
    """Answers the first `bad` requests of each path with `status`, the rest with 200; keeps the times of arrival."""

    def __init__(self, bad, status="503 Busy", headers=(), close=False):
        self.bad, self.status, self.headers, self.close = bad, status, headers, close
        self.lock = threading.Lock()
        self.times = {}

    def __call__(self, connection, request):
        with self.lock:
            times = self.times.setdefault(request.path, [])
            times.append(time.monotonic())
            turn = len(times)
        if turn > self.bad:
            return whole(connection, request)
        if self.close:
            return False
        headers = self.headers() if callable(self.headers) else self.headers
        connection.answer(b"busy", self.status, headers)
        return True


class Retries(support.CommandTest):
    @support.each_executor
    def test_ABurstOf503IsRiddenOut(self, executor):
        burst = Burst(2)
        with Server(burst) as server:
            result = self.fetch("-x", executor, "-w", "2", server.url("/a"), server.url("/b"))
        self.assert_status(0, result)
        self.assertEqual([3, 3], [row["attempts"] for row in result.rows], result)
        self.assertEqual(body_of("/a"), (self.dir / "a").read_bytes())

    def test_RetriesIsTheLimit(self):
        for retries, requests in ((0, 1), (1, 2), (3, 4)):
            with self.subTest(retries=retries), Server(Burst(99)) as server:
                result = self.fetch("--retries", str(retries), server.url("/a"))
                self.assertEqual(requests, len(server.seen()), result)
                self.assertEqual(requests, result.rows[0]["attempts"])
                self.assertEqual(503, result.rows[0]["status"])
                self.assert_reason("http", result.rows[0], result)
                self.assert_status(1, result)
                self.assert_files([], result)

    def test_WhatIsRetriedAndWhatIsNot(self):
        again = ("408 Late", "425 Early", "429 Slow", "500 Oops", "502 Bad", "503 Busy", "504 Late", "599 Odd")
        never = ("400 Bad", "401 Who", "403 No", "404 Not", "410 Gone", "416 Range", "418 Pot", "451 Law")
        for status in again + never:
            with self.subTest(status=status), Server(Burst(1, status)) as server:
                self.empty_directory()
                result = self.fetch("--retries", "1", server.url("/a"))
                self.assertEqual(2 if status in again else 1, len(server.seen()), result)
                self.assert_status(0 if status in again else 1, result)

    def test_AConnectionThatBreaksIsRetried(self):
        with Server(Burst(1, close=True)) as server:
            result = self.fetch(server.url("/a"))
        self.assert_status(0, result)

    def test_AShortBodyIsTakenAgainFromTheStart(self):
        sent = []

        def short_then_whole(connection, request):
            sent.append(request)
            if len(sent) == 1:
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 500)
                return False
            return whole(connection, request)

        with Server(short_then_whole) as server:
            result = self.fetch(server.url("/a"))
        self.assert_status(0, result)
        self.assertEqual(body_of("/a"), (self.dir / "a").read_bytes())
        self.assertNotIn("range", sent[1].headers)

    def test_APortWithNobodyIsRetriedThenConnect(self):
        with Server(whole) as server:
            closed = server.url("/a")
        result = self.fetch("--retries", "1", closed)
        self.assert_status(1, result)
        self.assert_reason("connect", result.rows[0], result)
        self.assertEqual(2, result.rows[0]["attempts"])

    def test_ANameThatDoesNotExistIsDns(self):
        result = self.fetch("--retries", "0", "http://no-such-host.invalid/a")
        self.assert_status(1, result)
        self.assert_reason("dns", result.rows[0], result)
        self.assert_says("no-such-host.invalid", result)

    def test_OnlyGetIsSent(self):
        with Server(Burst(1)) as server:
            self.fetch(server.url("/a"))
            self.assertEqual({"GET"}, {request.method for request in server.seen()})
            self.assertEqual({"HTTP/1.1"}, {request.version for request in server.seen()})


class RetryAfter(support.CommandTest):
    def gap(self, headers, status="429 Slow Down"):
        burst = Burst(1, status, headers)
        with Server(burst) as server:
            result = self.fetch(server.url("/a"))
        self.assert_status(0, result)
        first, second = burst.times["/a"]
        return second - first

    def test_SecondsAreWaitedFor(self):
        for status in ("429 Slow Down", "503 Busy"):
            self.empty_directory()
            self.assertGreaterEqual(self.gap(["Retry-After: 2"], status), 1.8)

    def test_ADateIsWaitedFor(self):
        def headers():
            return ["Retry-After: " + email.utils.formatdate(time.time() + 3, usegmt=True)]
        self.assertGreaterEqual(self.gap(headers), 1.0)

    def test_ADateInThePastOrNonsenseDoesNotHurt(self):
        for value in ("Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-5", "", "0"):
            self.empty_directory()
            with self.subTest(value=value):
                self.assertLess(self.gap([f"Retry-After: {value}"]), 30)

    @support.each_executor
    def test_AYearIsNotWaitedFor(self, executor):
        """Above 300 s the item fails and names the time."""
        for value in ("31536000", "99999999999999999999", "301",
                      email.utils.formatdate(time.time() + 86400, usegmt=True)):
            with self.subTest(value=value), Server(Burst(9, "429 Slow", [f"Retry-After: {value}"])) as server:
                result = self.fetch("-x", executor, "-w", "1", server.url("/a"))
                self.assert_status(1, result)
                self.assertEqual(429, result.rows[0]["status"])
                self.assert_reason("http", result.rows[0], result)
                self.assertRegex(result.rows[0]["error"], r"(?i)retry|wait|after")
                self.assertEqual(1, len(server.seen()), result)

    def test_TheWholeHostWaitsAndTheOthersGoOn(self):
        order = []          # of arrival, over both hosts
        begin = []

        def limited(connection, request):
            order.append("limited")
            begin.append(time.monotonic())
            if len(begin) == 1:
                connection.answer(b"", "429 Slow", ["Retry-After: 4"])
                return True
            return whole(connection, request)

        def free(connection, request):
            order.append("free")
            return whole(connection, request)

        with Server(limited) as slow, Server(free) as quick:
            urls = [slow.url(f"/s{i}") for i in range(4)] + [quick.url(f"/q{i}") for i in range(40)]
            result = self.fetch("-c", "4", "--per-host", "1", *urls)
        self.assert_status(0, result)
        self.assertGreaterEqual(begin[1] - begin[0], 3.9, "the host was asked too soon")
        second = order.index("limited", order.index("limited") + 1)
        self.assertEqual(40, order[:second].count("free"), f"another host had to wait: {order}")


class Limits(support.CommandTest):
    def most_at_once(self, *options, executor="loop", count=60):
        def slow(connection, request):
            connection.pause(0.03)
            return whole(connection, request)
        with Server(slow) as first, Server(slow) as second:
            urls = [site.url(f"/{name}{i}") for i in range(count // 2) for name, site in (("a", first), ("b", second))]
            self.empty_directory()
            result = self.fetch("-x", executor, *options, *urls, watchdog=120)
            self.assert_status(0, result)
            return first.most_active, second.most_active

    def test_PerHostIsNeverExceeded(self):
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                first, second = self.most_at_once("--per-host", "3", executor=executor)
                self.assertLessEqual(first, 3)
                self.assertLessEqual(second, 3)
                if executor in ("loop", "loops"):
                    self.assertGreater(first, 1, "nothing ran side by side")

    def test_ConnectionsBoundAllWorkersTogether(self):
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                first, second = self.most_at_once("-c", "4", "--per-host", "0", executor=executor)
                self.assertLessEqual(first, 4)
                self.assertLessEqual(second, 4)

    def test_SerialIsOneAtATime(self):
        self.assertEqual((1, 1), self.most_at_once("-c", "64", "--per-host", "0", executor="serial", count=20))

    def test_ASlowHostHoldsUpNoOther(self):
        """100 URLs of a host that never answers stand before the good ones."""
        with Server(lambda connection, request: connection.stall()) as dead, Server(whole) as good:
            urls = [dead.url(f"/d{i}") for i in range(100)] + [good.url(f"/g{i}") for i in range(50)]
            run = self.start("--dir", self.dir, "-c", "16", "--per-host", "4", "-i", self.list_file(*urls))
            self.assertTrue(good.wait_for(50), "the good host was held up")
            run.process.kill()

    def test_TheStallTimerIsResetByBytes(self):
        def dribble(connection, request):
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for _ in range(8):
                connection.pause(0.5)               # in all longer than the limit, each of them far below it
                connection.send("z")
        with Server(dribble) as server:
            result = self.fetch("--stall-timeout", "3", "--retries", "0", server.url("/a"))
        self.assert_status(0, result)

    def test_TimeoutIsTheWholeItem(self):
        def dribble(connection, request):
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while connection.pause(0.1):
                connection.send("z")
        with Server(dribble) as server:
            result = self.fetch("--timeout", "1", "--retries", "0", server.url("/a"))
        self.assert_reason("timeout", result.rows[0], result)

    @support.each_executor
    def test_TheConnectTimeoutCoversAFullQueueAndASilentTls(self, executor):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            filling = []
            try:
                for _ in range(4):                  # until the kernel lets no further one in
                    one = socket.socket()
                    one.setblocking(False)
                    one.connect_ex(("127.0.0.1", port))
                    filling.append(one)
                result = self.fetch("-x", executor, "--connect-timeout", "0.5", "--retries", "0", f"http://127.0.0.1:{port}/a")
            finally:
                for one in filling:
                    one.close()
        self.assert_reason("timeout", result.rows[0], result)
        self.assert_says("no connection within 0.5 s", result)
        with socket.create_server(("127.0.0.1", 0)) as listener:     # accepts, and says nothing
            port = listener.getsockname()[1]
            result = self.fetch("-x", executor, "--connect-timeout", "0.5", "--retries", "0", f"https://127.0.0.1:{port}/a")
        self.assert_reason("timeout", result.rows[0], result)
        self.assert_says("no connection within 0.5 s", result)

    def test_TheSameUrlAndNameIsAskedOnce(self):
        with Server(whole) as server:
            url = server.url("/same")
            result = self.fetch("-i", self.list_file(url, server.url("/other"), url, url))
            self.assertEqual(1, len(server.seen("/same")), result)
        self.assertEqual(4, len(result.rows), "a line of the report each")
        self.assert_status(0, result)
        self.assert_files(["same", "other"])
        self.assertTrue(all(row["file"] == "same" for row in result.rows if row["url"] == url), result.rows)

    @support.each_executor
    def test_DiscardAsksEveryTime(self, executor):
        with Server(whole) as server:
            result = self.fetch("-x", executor, "--discard", *[server.url("/same")] * 7)
            self.assertEqual(7, len(server.seen("/same")), result)
        self.assert_status(0, result)
        self.assert_files([], result)
        self.assertTrue(all(row["file"] is None and row["bytes"] == len(body_of("/same")) for row in result.rows))
        self.assertIsNone(re.search("exists", result.err))


if __name__ == "__main__":
    support.main()
