# SPDX-License-Identifier: Apache-2.0
# limit: 90
"""Lists of URLs: what a line may be, what is wrong with it and where, and that the rest is done all the same."""

import socket

import support
from server import Server, body_of, whole


class Lists(support.CommandTest):
    def setUp(self):
        super().setUp()
        server = Server(whole)
        self.server = server.__enter__()
        self.addCleanup(server.stop)

    def raw(self, data, *options, **more):
        path = self.path / "list.txt"
        path.write_bytes(data)
        return self.fetch("-i", path, *options, **more)

    def url(self, path):
        return self.server.url(path).encode()

    def assert_line_named(self, number, result):
        self.assert_says(rf"(list\.txt|stdin|-):{number}\b|\bline {number}\b", result)

    def test_CommentsBlankLinesAndNamesByTab(self):
        result = self.raw(b"# a comment\n\n" + self.url("/a") + b"\n   \n#" + self.url("/no") + b"\n" + self.url("/b")
                          + b"\tby-name.txt\n" + self.url("/c#part") + b"\n")
        self.assert_status(0, result)
        self.assert_files(["a", "by-name.txt", "c"], result)
        self.assertEqual(body_of("/b"), (self.dir / "by-name.txt").read_bytes())

    def test_ABomIsNoPartOfTheFirstUrl(self):
        result = self.raw(b"\xef\xbb\xbf" + self.url("/a") + b"\n")
        self.assert_status(0, result)
        self.assert_files(["a"], result)

    def test_CrLfLineEnds(self):
        result = self.raw(self.url("/a") + b"\r\n\r\n# no\r\n" + self.url("/b") + b"\tname\r\n")
        self.assert_status(0, result)
        self.assert_files(["a", "name"], result)
        self.assertEqual([self.url("/a").decode(), self.url("/b").decode()], [row["url"] for row in result.rows])

    def test_NoNewlineAtTheEnd(self):
        result = self.raw(self.url("/a") + b"\n" + self.url("/b"))
        self.assert_status(0, result)
        self.assert_files(["a", "b"], result)

    def test_AnEmptyListIsNoError(self):
        for data in (b"", b"\n\n", b"# nothing\n", b"\xef\xbb\xbf"):
            with self.subTest(data=data):
                result = self.raw(data)
                self.assertIn(result.status, (0, 2), result)
                self.assert_files([], result)

    def test_StandardInput(self):
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.empty_directory()
                result = self.fetch("-x", executor, "-i", "-", standard_input=self.url("/a") + b"\n" + self.url("/b"))
                self.assert_status(0, result)
                self.assert_files(["a", "b"], result)

    def test_AListThatArrivesSlowlyIsWorkedOnAtOnce(self):
        """The first URL is done before the list has ended: the list is a stream."""
        run = self.start("--dir", self.dir, "-i", "-", stdin=-1)
        run.process.stdin.write(self.url("/first") + b"\n")
        run.process.stdin.flush()
        self.assertTrue(self.server.wait_for(1, "/first"), "nothing was asked for before the list ended")
        run.process.stdin.write(self.url("/second") + b"\n")
        result = run.finish()
        self.assert_status(0, result)
        self.assert_files(["first", "second"], result)

    def test_EachBadLineIsNamedAndTheRestIsDone(self):
        bad = {
            "no-scheme.example/x": "",
            "http//127.0.0.1/x": "",
            "ftp://127.0.0.1/x": "",
            "file:///etc/passwd": "",
            "gopher://127.0.0.1/x": "",
            "javascript:alert(1)": "",
            "http://": "",
            "http:///nohost": "",
            "http://127.0.0.1:99999/x": "",
            "http://127.0.0.1:port/x": "",
            "http://[::1/x": "",
            "http://exa mple/x": "",
            "http://127.0.0.1/a b": "",
            "-h": "",
            "--insecure": "",
        }
        for line in bad:
            with self.subTest(line=line):
                self.empty_directory()
                result = self.raw(self.url("/before") + b"\n# comment\n" + line.encode() + b"\n" + self.url("/after") + b"\n",
                                  "--retries", "0")
                self.assert_status(1, result)
                self.assert_files(["after", "before"], result)
                self.assert_line_named(3, result)
                self.assertEqual(3, len(result.rows), result)
                self.assertEqual(line, result.rows[1]["url"])
                self.assert_reason("url", result.rows[1], result)

    def test_ControlCharactersAndNulInALine(self):
        for index, piece in enumerate((b"\0", b"\x01", b"\x1b[31m", b"\x7f", b"\xc2\x9b31m", b"\x0b")):
            with self.subTest(piece=piece):
                self.empty_directory()
                bad = self.url("/x") + piece + b"y"
                result = self.raw(self.url("/before") + b"\n" + bad + b"\n" + self.url("/after") + b"\n", "--retries", "0")
                self.assertTrue({"before", "after"} <= set(self.files()), result)
                self.assertEqual(3, len(result.rows), result)
                if index < 4:                       # the others a URL parser may encode
                    self.assert_status(1, result)
                    self.assert_reason("url", result.rows[1], result)
                    self.assert_line_named(2, result)
                self.assert_no_raw_control(result.stderr, result)

    def test_InvalidUtf8InALine(self):
        result = self.raw(self.url("/before") + b"\n" + self.url("/") + b"bad\xff" + b"\n"
                          + self.url("/x").replace(b"/x", b"/bad\xff\xfe") + b"\n" + self.url("/after") + b"\n")
        self.assertIn(result.status, (0, 1), result)
        self.assertEqual(4, len(result.rows), "the report stays JSON")
        self.assertTrue({"before", "after"} <= set(self.files()), result)
        self.assert_no_raw_control(result.stderr, result)

    def test_ALineOfOneMegabyte(self):
        result = self.raw(self.url("/before") + b"\n" + self.url("/") + b"a" * (1 << 20) + b"\n" + self.url("/after") + b"\n")
        self.assert_status(1, result)
        self.assert_files(["after", "before"], result)
        self.assert_line_named(2, result)
        self.assertLess(len(result.stderr), 20000, "the line was printed whole")
        self.assertEqual(3, len(result.rows))
        self.assert_reason("url", result.rows[1], result)

    def test_AMegabyteWithoutANewlineAtTheEnd(self):
        result = self.raw(self.url("/before") + b"\n" + b"z" * (1 << 20))
        self.assert_status(1, result)
        self.assert_files(["before"], result)

    def test_AListThatCannotBeRead(self):
        for name in ("none.txt", "out"):            # not there; a directory
            with self.subTest(name=name):
                result = self.fetch("-i", self.path / name)
                self.assertIn(result.status, (2, 3), result)
                self.assert_says(name, result)
                self.assert_files([], result)

    def test_ABadUrlAsAnArgument(self):
        result = self.fetch(self.server.url("/good"), "no-scheme/x")
        self.assertIn(result.status, (1, 2), result)
        self.assert_says("no-scheme/x", result)
        if result.status == 1:
            self.assert_files(["good"], result)
            self.assert_reason("url", result.rows[1], result)

    def test_ArgumentsAndListTogether(self):
        result = self.fetch(self.server.url("/argument"), "-i", self.list_file(self.server.url("/listed")))
        self.assert_status(0, result)
        self.assert_files(["argument", "listed"], result)

    def test_ThreeThousandLinesToAPortWithNobody(self):
        """A dead host costs time, not memory or descriptors; the report has a row for every line."""
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))             # bound, not listening: every connection is refused
            port = held.getsockname()[1]
            lines = [f"http://127.0.0.1:{port}/{i}" for i in range(3000)]
            result = self.fetch("-i", self.list_file(*lines), "--retries", "0", "--quiet", "--per-host", "0", watchdog=120)
        self.assert_status(1, result)
        self.assertEqual(lines, [row["url"] for row in result.rows])
        self.assertEqual({"connect"}, {row["reason"] for row in result.rows})
        self.assert_files([], result)


if __name__ == "__main__":
    support.main()
