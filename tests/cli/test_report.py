# SPDX-License-Identifier: Apache-2.0
# limit: 60
"""What the command tells: the report, --json, --mark, stdout and stderr kept apart."""

import json
import subprocess

import support
from server import Server, body_of, by_path, whole


class Report(support.CommandTest):
    @support.each_executor
    def test_InputOrderWhateverEndsFirst(self, executor):
        def uneven(connection, request):
            connection.pause(0.15 if request.path.endswith("0") else 0)
            return whole(connection, request)
        with Server(uneven) as server:
            urls = [server.url(f"/{i}") for i in range(60)]
            result = self.fetch("-x", executor, "-i", self.list_file(*urls), "--per-host", "0")
        self.assert_status(0, result)
        self.assertEqual(urls, [row["url"] for row in result.rows])
        self.assertEqual([str(i) for i in range(60)], [row["file"] for row in result.rows])

    def test_WhatARowHolds(self):
        def moved(connection, request):
            connection.answer(b"", "302 Found", ["Location: /there"])
            return True
        with Server(by_path({"/here": moved, "/there": whole})) as server:
            result = self.fetch(server.url("/here"), server.url("/missing"), "not-a-url")
            here, there = server.url("/here"), server.url("/there")
        good, missing, bad = result.rows
        self.assertEqual((here, there, 200, "here", len(body_of("/there")), None, None, None),
                         tuple(good[key] for key in ("url", "effective_url", "status", "file", "bytes", "sha256", "error",
                                                     "reason")))
        self.assertIsInstance(good["seconds"], (int, float))
        self.assertGreaterEqual(good["seconds"], 0)
        self.assertGreaterEqual(good["attempts"], 1)
        self.assertEqual((404, None, "http", 1), tuple(missing[key] for key in ("status", "file", "reason", "attempts")))
        self.assertEqual((None, None, None, "url"), tuple(bad[key] for key in ("status", "file", "sha256", "reason")))
        self.assertEqual(0, bad["attempts"])

    def test_FileIsRelativeToTheDirectory(self):
        with Server(whole) as server:
            result = self.run_plait("--dir", "out", "--report", "r.jsonl", server.url("/x"), cwd=self.path)
        self.assert_status(0, result)
        self.assertEqual("x", self.rows(self.path / "r.jsonl")[0]["file"])

    @support.each_executor
    def test_OnStdout(self, executor):
        with Server(whole) as server:
            urls = [server.url(f"/{i}") for i in range(20)]
            result = self.run_plait("-x", executor, "--dir", self.dir, "--report", "-", *urls)
        self.assert_status(0, result)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(urls, [row["url"] for row in rows])
        self.assertEqual(support.REPORT_KEYS, list(rows[0])[:len(support.REPORT_KEYS)])

    def test_RowsComeWhileOthersAreStillRunning(self):
        """The report is written as items end, not at the end of the run."""
        def held(connection, request):
            return connection.hold() and whole(connection, request)
        with Server(by_path({"/held": held}, whole)) as server:
            run = self.start("--dir", self.dir, "--report", "-", "-c", "1", server.url("/first"), server.url("/held"))
            first = run.process.stdout.readline()   # hangs, and the watchdog of the test speaks, if it is kept back
            self.assertEqual(server.url("/first"), json.loads(first)["url"])
            server.release.set()
            result = run.finish()
        self.assert_status(0, result)
        self.assertEqual(1, len(result.stdout.splitlines()))

    def test_TheReportIsAsciiOrWholeUtf8WhateverTheServerSays(self):
        def evil(connection, request):
            connection.send(b"HTTP/1.1 404 \x1b]0;x\x07\xff\xfe\xe2\x80\xae\r\nContent-Length: 0\r\n\r\n")
        with Server(evil) as server:
            result = self.fetch("--retries", "0", server.url("/caf\u00e9".encode("unicode_escape").decode()),
                                server.url("/%1b%ff"))
        raw = (self.path / "report.jsonl").read_bytes()
        raw.decode("utf-8")
        self.assertEqual([], [byte for byte in raw if byte < 32 and byte != 10], result)

    def test_StdoutIsEmptyOtherwise(self):
        with Server(whole) as server:
            for options in ([], ["--mark", "none"], ["--quiet"]):
                self.empty_directory()
                self.assertEqual(b"", self.fetch(*options, server.url("/x"), server.url("/y")).stdout)


class Json(support.CommandTest):
    @support.each_executor
    def test_OneSummaryObject(self, executor):
        with Server(by_path({"/good": whole})) as server:
            result = self.fetch("-x", executor, "--json", *[server.url(path) for path in ("/good1", "/good2", "/bad")])
        self.assert_status(1, result)
        summary = json.loads(result.stdout)
        self.assertIsInstance(summary, dict)
        self.assertEqual(1, summary.get("schema"), result)
        numbers = [value for value in summary.values() if isinstance(value, int)]
        self.assertIn(2, numbers, f"how many are done\n{result}")
        self.assertIn(1, numbers, f"how many failed\n{result}")

    def test_InsecureIsMarked(self):
        with Server(whole) as server:
            plain = json.loads(self.fetch("--json", server.url("/x")).stdout)
            self.empty_directory()
            marked = json.loads(self.fetch("--json", "--insecure", server.url("/x")).stdout)
        kept = {"insecure", *plain} & set(marked)
        self.assertNotEqual({key: plain.get(key) for key in kept if "insecure" in key},
                            {key: marked.get(key) for key in kept if "insecure" in key})

    def test_AtMostOneOnStdout(self):
        both = (["--json", "--report", "-"], ["--json", "--mark", "site"], ["--report", "-", "--mark", "worker"],
                ["--json", "--mark", "worker", "--report", "-"])
        with Server(whole) as server:
            for options in both:
                with self.subTest(options=options):
                    result = self.run_plait("--dir", self.dir, *options, server.url("/x"))
                    self.assert_status(2, result)
                    self.assertEqual(b"", result.stdout)
            self.assertEqual([], server.seen())
            result = self.run_plait("--dir", self.dir, "--json", "--mark", "none", server.url("/x"))
            self.assert_status(0, result)


class Marks(support.CommandTest):
    @support.each_executor
    def test_TheSitesLetter(self, executor):
        with Server(whole) as first, Server(whole) as second:
            lines = [site.url(f"/{name}{i}") for i in range(12) for name, site in (("a", first), ("b", second))]
            lines.append(second.url("/b-last"))
            result = self.fetch("-x", executor, "--mark", "site", "-i", self.list_file(*lines))
        self.assert_status(0, result)
        marks = result.out.strip()
        self.assertEqual(25, len(marks), result)
        letters = sorted(set(marks), key=marks.count)
        self.assertEqual(2, len(letters), result)
        self.assertEqual([12, 13], [marks.count(letter) for letter in letters])
        self.assertTrue(marks.isalpha(), result)

    @support.each_executor
    def test_TheWorkersNumber(self, executor):
        with Server(whole) as server:
            result = self.fetch("-x", executor, "-w", "3", "--mark", "worker",
                                "-i", self.list_file(*[server.url(f"/{i}") for i in range(40)]))
        self.assert_status(0, result)
        marks = result.out.strip()
        self.assertEqual(40, len(marks), result)
        self.assertTrue(marks.isalnum(), result)
        self.assertLessEqual(len(set(marks)), 1 if executor in ("serial", "loop") else 3, result)

    @support.each_executor
    def test_AtOnceAndWithoutANewline(self, executor):
        def held(connection, request):
            return connection.hold() and whole(connection, request)
        with Server(by_path({"/held": held}, whole)) as server:
            run = self.start("-x", executor, "-w", "1", "-c", "1", "--dir", self.dir, "--mark", "site",
                             server.url("/first"), server.url("/held"), stdout=subprocess.PIPE, bufsize=0)
            self.assertTrue(run.process.stdout.read(1).isalpha())
            server.release.set()
            result = run.finish()
        self.assert_status(0, result)
        self.assertEqual(1, len(result.out.strip()), result)

    def test_OnlyWhatWasDownloadedIsMarked(self):
        with Server(by_path({"/good": whole})) as server:
            result = self.fetch("--mark", "site", server.url("/good"), server.url("/bad"))
        self.assert_status(1, result)
        self.assertIn(len(result.out.strip()), (1, 2), result)


if __name__ == "__main__":
    support.main()
