# SPDX-License-Identifier: Apache-2.0
# limit: 240
"""Every behaviour of a hostile server, alone and in a crowd, under every executor: the same verdict from each,
nothing half-written under a final name, no temporary file left, no neighbour harmed."""

import json
import threading

import behaviours
import support
from server import Server, body_of, by_path, whole

EXECUTOR_OPTIONS = {
    "serial": ["-x", "serial"],
    "threads": ["-x", "threads", "-w", "16"],
    "loop": ["-x", "loop"],
    "loops": ["-x", "loops", "-w", "2"],
    "processes": ["-x", "processes", "-w", "8"],
}


class Judge(support.CommandTest):
    """A hostile server for all tests of the class, and the comparison of a verdict with what was expected."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(by_path({"/good/": whole}, behaviours.serve))
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        assert not cls.server.errors, cls.server.errors

    def url(self, name):
        return self.server.url(f"/{name}/file")

    def judge(self, expected, row, content, result):
        """One report row and the file's bytes (None: no file) against the verdict."""
        if expected.either and row["error"] is not None:
            self.assert_reason(expected.reasons, row, result)
            self.assertIsNone(content, result)
            return
        if expected.whole is None:
            self.assertIsNotNone(row["error"], f"{expected.name} was taken for whole: {row}\n{result}")
            self.assertNotEqual("", row["error"].strip())
            self.assert_reason(expected.reasons, row, result)
            self.assertIsNone(content, f"{expected.name}: a file under its final name\n{result}")
        else:
            self.assertIsNone(row["error"], f"{expected.name} is whole, but failed: {row}\n{result}")
            self.assertEqual(expected.whole, content, f"{expected.name}: other bytes\n{result}")
            self.assertEqual(len(expected.whole), row["bytes"], f"{row}\n{result}")
        if expected.status != "any":
            self.assertEqual(expected.status, row["status"], f"{row}\n{result}")


class Hostile(Judge):
    def crowd(self, executor):
        """All behaviours in one list, a good neighbour after each; gives {name: verdict}."""
        lines = []
        for name in behaviours.ALL:
            lines += [f"{self.url(name)}\t{name}", f"{self.server.url('/good/' + name)}\tgood-{name}"]
        result = self.fetch("-i", self.list_file(*lines), *behaviours.OPTIONS, "--per-host", "0", "-c", "32",
                            *EXECUTOR_OPTIONS[executor], watchdog=120)
        self.assert_status(1, result)
        self.assertEqual([line.split("\t")[0] for line in lines], [row["url"] for row in result.rows], result)
        self.assert_no_raw_control(result.stderr, result)
        expected_files, verdicts = set(), {}
        for row, line in zip(result.rows, lines):
            name = line.split("\t")[1]
            content = None
            if row["error"] is None:
                self.assertEqual(name, row["file"], f"{row}\n{result}")
                expected_files.add(name)
                content = (self.dir / name).read_bytes()
            elif (self.dir / name).exists():
                content = (self.dir / name).read_bytes()
            with self.subTest(behaviour=name):
                if name.startswith("good-"):
                    self.assertIsNone(row["error"], f"a neighbour was harmed: {row}")
                    self.assertEqual(body_of("/good/" + name[5:]), content)
                else:
                    late = {row["reason"], *behaviours.ALL[name].reasons} == {"timeout", "stall"}  # either, as it falls
                    verdicts[name] = (row["status"], "late" if late else row["reason"], content)
                    self.judge(behaviours.ALL[name], row, content, result)
        self.assert_files(expected_files, result)
        return verdicts

    def test_TheSameVerdictFromEveryExecutor(self):
        verdicts = {}
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.empty_directory()
                verdicts[executor] = self.crowd(executor)
        for executor, given in verdicts.items():
            self.assertEqual(verdicts["loop"].keys(), given.keys())
            for name in given:
                self.assertEqual(verdicts["loop"][name], given[name], f"{name}: loop and {executor} disagree")


class Alone(Judge):
    """Each behaviour in a run of its own: the exit status is that of the item, and the message names the URL."""

    def alone(self, name, executor):
        expected = behaviours.ALL[name]
        directory = self.path / f"{executor}-{name}"
        directory.mkdir()
        report = self.path / f"{executor}-{name}.jsonl"
        run = self.start("--dir", directory, "--report", report, *behaviours.OPTIONS, "-x", executor, "-w", "1",
                         self.url(name))
        return expected, directory, report, run

    def finish(self, expected, directory, report, run):
        result = run.finish()
        with self.subTest(behaviour=expected.name, executor=directory.name.split("-")[0]):
            row, = self.rows(report, result)
            self.assert_status(0 if row["error"] is None else 1, result)
            names = self.files(directory)
            content = None
            if row["error"] is None:
                self.assertEqual([row["file"]], names, result)
                content = (directory / row["file"]).read_bytes()
            else:
                self.assertEqual([], names, f"left behind\n{result}")
                self.assert_says(expected.name, result)
            self.judge(expected, row, content, result)
            self.assert_no_raw_control(result.stderr, result)
            self.assertEqual(b"", result.stdout)

    def test_EachEndsWithItsOwnStatusAndMessage(self):
        waiting = []
        for name in behaviours.ALL:
            for executor in support.EXECUTORS:
                waiting.append(self.alone(name, executor))
                if len(waiting) == 8:               # eight runs at a time: most of them only wait
                    self.finish(*waiting.pop(0))
        for one in waiting:
            self.finish(*one)


class KeptConnections(support.CommandTest):
    """What goes wrong between two answers on one connection."""

    def pair(self, first, *options, executor="loop", count=2):
        """Fetches /first and then /second..., one connection at a time; gives result, the files' bytes, the server."""
        server = Server(by_path({"/first": first}, whole))
        with server:
            urls = [server.url("/first")] + [server.url(f"/next{i}") for i in range(1, count)]
            result = self.fetch("-x", executor, "-w", "1", "-c", "1", *options, *urls)
            seen = server.seen()
        return result, seen

    @support.each_executor
    def test_ALeftOverAnswerIsNotTakenForTheNext(self, executor):
        def first(connection, request):
            stray = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + stray)
            return True

        result, _ = self.pair(first, executor=executor, count=4)
        self.assert_status(0, result)
        self.assertEqual(b"first", (self.dir / "first").read_bytes())
        for i in range(1, 4):
            self.assertEqual(body_of(f"/next{i}"), (self.dir / f"next{i}").read_bytes(), result)

    @support.each_executor
    def test_ALateStrayAnswerIsNotTakenForTheNext(self, executor):
        """The stray answer arrives after the first transfer has ended and before the second begins."""
        def first(connection, request):
            connection.answer(b"first")
            other_asked.wait(30)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            # Over loopback what is sent has arrived, and the client has nothing else to do with it.
            poisoned.set()
            return True

        other_asked, poisoned = threading.Event(), threading.Event()

        def slow(connection, request):
            other_asked.set()
            poisoned.wait(30)
            return whole(connection, request)

        with Server(by_path({"/first": first}, whole)) as server, Server(slow) as other:
            # One transfer at a time: while the other site is slow, the first connection lies idle.
            urls = [server.url("/first"), other.url("/other"), server.url("/next1"), server.url("/next2")]
            result = self.fetch("-x", executor, "-w", "1", "-c", "1", *urls)
        self.assert_status(0, result)
        for name in ("next1", "next2"):
            self.assertEqual(body_of("/" + name), (self.dir / name).read_bytes(), result)

    @support.each_executor
    def test_AKeptConnectionThatWasClosedCostsNoAttempt(self, executor):
        def first(connection, request):
            connection.answer(b"first")              # promises keep-alive, then closes
            return False

        # Every answer of this server promises more and then closes: many in a row must not add up to a failure.
        with Server(first) as server:
            urls = [server.url(f"/{i}") for i in range(60)]
            result = self.fetch("-x", executor, "-w", "1", "-c", "1", "--retries", "0", *urls)
        self.assert_status(0, result)
        self.assertEqual({1}, {row["attempts"] for row in result.rows}, result)

    @support.each_executor
    def test_AKeptConnectionThatClosesUnderTheRequestCostsNoAttempt(self, executor):
        """The connection is closed only when the second request has arrived on it."""
        def second(connection, request):
            if request.turn > 0:
                return False
            return whole(connection, request)

        with Server(by_path({"/first": whole}, second)) as server:
            result = self.fetch("-x", executor, "-w", "1", "-c", "1", "--retries", "0",
                                server.url("/first"), server.url("/second"))
        self.assert_status(0, result)
        self.assertEqual([1, 1], [row["attempts"] for row in result.rows], result)

    @support.each_executor
    def test_ConnectionsAreReused(self, executor):
        with Server(whole) as server:
            urls = [server.url(f"/{i}") for i in range(20)]
            result = self.fetch("-x", executor, "-w", "1", "-c", "1", *urls)
            self.assert_status(0, result)
            self.assertEqual(20, len(server.seen()), result)
            self.assertEqual(1, server.connections, f"{executor}: connections for 20 requests\n{result}")

    def test_ConnectionCloseIsObeyed(self):
        def closing(connection, request):
            connection.answer(b"x", headers=["Connection: close"])

        result, seen = self.pair(closing, count=3)
        self.assert_status(0, result)

    def test_AHugeHeaderEndsNoOtherTransfer(self):
        """curl -Z takes libcurl's "out of memory" for its own and drops the rest."""
        with Server(by_path({"/header-line-of-1-MB/": behaviours.serve}, whole)) as server:
            urls = [server.url(f"/a{i}") for i in range(10)]
            urls[5:5] = [server.url("/header-line-of-1-MB/x")]
            result = self.fetch("--retries", "0", *urls)
        self.assert_status(1, result)
        self.assertEqual(1, sum(row["error"] is not None for row in result.rows), result)


class Secondary(support.CommandTest):
    """What the report must tell beyond the verdict."""

    def one(self, name):
        with Server(behaviours.serve) as server:
            return self.fetch(*behaviours.OPTIONS, server.url(f"/{name}/file"))

    def extras(self, row):
        return {key: value for key, value in row.items() if key not in support.REPORT_KEYS}

    def test_ABodyThatMayHaveBeenCutIsMarked(self):
        """Without a length, the end of the connection is the end of the body: it can't be told from a cut."""
        plain, = self.one("whole").rows
        (self.dir / "file").unlink()
        marked, = self.one("no-length").rows
        self.assertIsNone(marked["error"])
        self.assertNotEqual(self.extras(plain), self.extras(marked), "no extra key tells of it")

    def test_AContentEncodingIsNamed(self):
        row, = self.one("gzip").rows
        self.assertIn("gzip", json.dumps(self.extras(row)), "the report does not name the encoding")

    def test_NoCompressionIsAskedFor(self):
        with Server(whole) as server:
            self.fetch(server.url("/x"))
            request, = server.seen()
        self.assertNotIn("gzip", request.headers.get("accept-encoding", "identity"))

    def test_FailureNamesStatusAndUrlOnStderr(self):
        result = self.one("status-404")
        self.assert_says("404", result)
        self.assert_says("status-404/file", result)


if __name__ == "__main__":
    support.main()
