# SPDX-License-Identifier: Apache-2.0
# limit: 90
"""What stands in the way on the disk, and disks, descriptors and directories that give out."""

import fcntl
import os
import resource
import shutil
import subprocess
import unittest

import support
from server import Server, body_of, whole


def held(connection, request):
    return connection.hold() and whole(connection, request)


class InTheWay(support.CommandTest):
    def setUp(self):
        super().setUp()
        server = Server(whole)
        self.server = server.__enter__()
        self.addCleanup(server.stop)
        self.outside = self.path / "outside"
        self.outside.write_bytes(b"precious")

    def place(self, kind):
        shutil.rmtree(self.dir)
        self.dir.mkdir()
        path = self.dir / "x"
        if kind == "file":
            path.write_bytes(b"precious")
        elif kind == "symlink":
            path.symlink_to(self.outside)
        elif kind == "dangling":
            path.symlink_to(self.path / "created-through-a-link")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "directory":
            path.mkdir()
        elif kind == "hardlink":
            os.link(self.outside, path)
        return path

    @support.each_executor
    def test_WhatExistsIsNeverTouched(self, executor):
        for kind in ("file", "symlink", "dangling", "fifo", "directory", "hardlink"):
            with self.subTest(kind=kind):
                path = self.place(kind)
                before = os.lstat(path)
                result = self.fetch("-x", executor, "-w", "1", self.server.url("/x"), self.server.url("/other"))
                self.assert_status(1, result)
                self.assert_reason("exists", result.rows[0], result)
                self.assertIsNone(result.rows[1]["error"], result)
                self.assertEqual((before.st_ino, before.st_mode), (os.lstat(path).st_ino, os.lstat(path).st_mode))
                self.assertEqual(b"precious", self.outside.read_bytes())
                self.assertFalse((self.path / "created-through-a-link").exists())
                self.assertEqual({"x", "other"}, set(os.listdir(self.dir)), "a temporary file was left")

    @support.each_executor
    def test_OverwriteReplacesTheNameNotWhatItPointsTo(self, executor):
        for kind in ("file", "symlink", "dangling", "fifo", "hardlink"):
            with self.subTest(kind=kind):
                path = self.place(kind)
                result = self.fetch("-x", executor, "-w", "1", "--overwrite", self.server.url("/x"))
                self.assert_status(0, result)
                self.assertTrue(path.is_file() and not path.is_symlink(), kind)
                self.assertEqual(body_of("/x"), path.read_bytes())
                self.assertEqual(b"precious", self.outside.read_bytes())
                self.assertFalse((self.path / "created-through-a-link").exists())
                self.assert_files(["x"], result)

    def test_OverwriteDoesNotRemoveADirectory(self):
        self.place("directory")
        (self.dir / "x" / "inside").write_bytes(b"precious")
        result = self.fetch("--overwrite", self.server.url("/x"))
        self.assertNotEqual(0, result.status, result)
        self.assert_files(["x/inside"], result)

    def test_OverwriteKeepsTheOldFileWhenTheNewOneFails(self):
        path = self.place("file")
        self.server.handler = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
        result = self.fetch("--overwrite", "--retries", "0", self.server.url("/x"))
        self.assert_status(1, result)
        self.assertEqual(b"precious", path.read_bytes())
        self.assert_files(["x"], result)

    def test_TheModeFollowsTheUmask(self):
        for mask, mode in (("022", 0o644), ("027", 0o640), ("077", 0o600)):
            self.empty_directory()
            result = self.fetch(self.server.url("/x"), shell=f"umask {mask}")
            self.assert_status(0, result)
            self.assertEqual(oct(mode), oct(os.stat(self.dir / "x").st_mode & 0o777))

    def test_ALinkedDirectoryGivenByTheUserIsFollowed(self):
        link = self.path / "link"
        link.symlink_to(self.dir)
        result = self.run_plait("--dir", link, self.server.url("/x"))
        self.assert_status(0, result)
        self.assert_files(["x"], result)

    def test_TheDefaultDirectoryIsHere(self):
        result = self.run_plait(self.server.url("/x"), cwd=self.dir)
        self.assert_status(0, result)
        self.assert_files(["x"], result)


class GivingOut(support.CommandTest):
    def setUp(self):
        super().setUp()
        server = Server(self.big)
        self.server = server.__enter__()
        self.addCleanup(server.stop)

    @staticmethod
    def big(connection, request):
        name = request.path.strip("/")
        connection.answer(b"b" * int(name.split("k")[0]) * 1024 if name[:1].isdigit() else body_of(request.path))
        return True

    def urls(self, size, count):
        return [self.server.url(f"/{size}k-{i}") for i in range(count)]

    def mount(self, size, options=""):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "none", str(self.dir)],
                              capture_output=True)
        if done.returncode != 0:
            raise unittest.SkipTest("no mounts for this user: RLIMIT_FSIZE stands for the full disk")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.dir)], capture_output=True)

    def test_ADirectoryThatCannotBe(self):
        (self.path / "file").write_bytes(b"")
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                result = self.run_plait("-x", executor, "--dir", self.path / "file" / "below", *self.urls(1, 3))
                self.assert_status(3, result)
                self.assert_says("file/below", result)
                self.assert_says("(?i)not a directory", result)
        self.assertEqual([], self.server.seen(), "the server was asked all the same")

    def test_ADirectoryThatIsReadOnly(self):
        self.mount("1m", ",ro")
        result = self.fetch("--retries", "3", *self.urls(1, 3))
        self.assert_status(3, result)
        self.assert_says("(?i)read-only", result)

    def test_AFullDisk(self):
        """Some are done, the rest is not started; nothing half-written stays; no retries against a full disk."""
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.server.forget()
                self.mount("1m")
                result = self.fetch("-x", executor, "-w", "2", "-c", "2", *self.urls(300, 30))
                self.assert_status(1, result)
                self.assert_says("(?i)no space left", result)
                done = [row["file"] for row in result.rows if row["error"] is None]
                self.assertTrue(1 <= len(done) <= 3, result)
                self.assert_files(done, result)
                for name in done:
                    self.assertEqual(300 * 1024, os.path.getsize(self.dir / name))
                self.assertEqual(30, len(result.rows))
                self.assertIn("disk", {row["reason"] for row in result.rows})
                self.assertLessEqual({row["reason"] for row in result.rows}, {None, "disk", "not_started", "interrupted"})
                self.assertLess(len(self.server.seen()), 20, "it went on starting")
                subprocess.run(["umount", "-l", str(self.dir)], check=True)

    def test_ADiskTooSmallForAnything(self):
        self.mount("64k")
        result = self.fetch(*self.urls(1000, 3))
        self.assert_status(3, result)
        self.assert_files([], result)

    def test_AFileSizeLimit(self):
        """RLIMIT_FSIZE: an error like a full disk, not death by SIGXFSZ."""
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.empty_directory()
                result = self.fetch("-x", executor, "-w", "1", "-c", "1", "--retries", "0",
                                    self.server.url("/small"), *self.urls(200, 2),
                                    shell="ulimit -f 200")
                self.assert_says("(?i)file too large", result)
                if executor == "processes":         # the workers' shared memory counts as a file, too
                    self.assert_status(3, result)
                    continue
                self.assert_status(1, result)
                self.assert_files(["small"], result)

    def test_AReportThatCannotBeWritten(self):
        for target in (self.path / "none" / "report", self.dir, "/dev/full"):
            with self.subTest(target=target):
                self.empty_directory()
                result = self.run_plait("--dir", self.dir, "--report", target, self.server.url("/a"))
                self.assertIn(result.status, (2, 3), result)
                self.assert_says(str(target), result)

    @support.each_executor
    def test_ThirtyTwoDescriptorsAreEnough(self, executor):
        result = self.fetch("-x", executor, "-c", "64", "--per-host", "0",
                            "-i", self.list_file(*[self.server.url(f"/n{i}") for i in range(150)]),
                            shell="ulimit -n 32")
        self.assert_status(0, result)
        self.assertEqual(150, len(self.files()))
        if executor != "serial":
            self.assert_says(r"(?i)descriptor|RLIMIT_NOFILE|ulimit -n", result)

    @support.each_executor
    def test_FewDescriptorsAreEnoughForManyHosts(self, executor):
        """Each engine has descriptors of its own, and keeps connections: neither may use up the limit."""
        with Server(whole, host="0.0.0.0") as server:
            urls = [f"http://127.0.1.{host}:{server.port}/{host}-{i}" for i in range(4) for host in range(1, 41)]
            for limit, workers in ((64, 16), (96, 32)):
                with self.subTest(limit=limit):
                    self.empty_directory()
                    result = self.fetch("-x", executor, "-w", str(workers), "--per-host", "0",
                                        "-i", self.list_file(*urls), shell=f"ulimit -n {limit}")
                    self.assert_status(0, result)
                    self.assertEqual(160, len(self.files()))
                    self.assertEqual({1}, {row["attempts"] for row in result.rows}, "something had to be repeated")
                    self.assert_says(r"(?i)descriptor.*ulimit -n", result)

    @support.needs_no_descriptors
    def test_ASocketThatCannotBeMadeEndsTheRun(self):
        """The limit falls while the first one is under way: no retries, and the rest is not started."""
        for executor in ("serial", "threads", "loop", "loops"):
            with self.subTest(executor=executor), Server(held) as first, Server(whole) as second:
                report = self.path / "report.jsonl"
                report.unlink(missing_ok=True)
                run = self.start("-x", executor, "-w", "1", "-c", "1", "--discard", "--report", report,
                                 first.url("/a"), second.url("/b"), second.url("/c"))
                self.assertTrue(first.wait_for(1))
                resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (3, 4096))
                first.release.set()
                result = run.finish()
                self.assert_status(1, result)
                self.assert_says("(?i)cannot make a socket.*too many open files", result)
                rows = self.rows(report, result)
                self.assertEqual([None, "connect", "not_started"], [row["reason"] for row in rows], result)
                self.assertEqual(1, rows[1]["attempts"], "no retries against a limit")

    @support.needs_no_descriptors
    def test_AnEngineThatCannotBeMadeEndsTheRun(self):
        """It is no item's fault, and waiting does not mend it."""
        report = self.path / "report.jsonl"
        with Server(held) as server:
            run = self.start("-x", "threads", "-w", "2", "--discard", "--report", report, "--stall-timeout", "3",
                             "--retries", "0", "-i", "-", stdin=subprocess.PIPE)
            run.process.stdin.write(server.url("/a\n").encode())
            run.process.stdin.flush()
            self.assertTrue(server.wait_for(1))
            resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (3, 4096))
            run.process.stdin.write(server.url("/b\n").encode())
            run.process.stdin.flush()
            result = run.finish(b"")
        self.assert_status(3, result)
        self.assert_says("(?i)epoll.*too many open files", result)
        rows = self.rows(report, result)
        self.assertEqual(["stall", "interrupted"], [row["reason"] for row in rows], result)

    def test_LinesThatAreKeptForRepetitionsDoNotEndTheRun(self):
        """Half a list of lines fills a file that may not grow: without repetitions nobody misses them."""
        urls = [self.server.url(f"/k{i}") for i in range(600)]
        for more, status in (([], 0), ([urls[599]], 3)):
            with self.subTest(repetitions=len(more)):
                self.empty_directory()
                result = self.run_plait("-c", "1", "--dir", self.dir, "--report", "-", "-i", self.list_file(*urls, *more),
                                        shell="ulimit -f 16")
                self.assert_status(status, result)
                self.assertEqual(600, len(self.files()), result)
                self.assertGreaterEqual(result.out.count("\n"), 600 if status == 0 else 0)
                if more:
                    self.assert_says("(?i)lines of the report.*file too large", result)

    def test_ATemporaryFileThatIsHeldIsTriedAgain(self):
        """As by a worker that is still dying: only who holds it through all attempts is another run."""
        lock = []

        def answer(connection, request):
            if request.path != "/x":
                return held(connection, request)
            first = len(server.seen("/x")) == 1
            if len(server.seen("/x")) == release_at:
                os.close(lock.pop())                # before the client opens its file
            # More than a loop keeps in memory, so that there is a temporary file.
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300008\r\n\r\n" + b"b" * 300000)
            if first:
                connection.hold()                   # for the run that is killed
                return False
            connection.send(b"the rest")
            return True

        for retries, release_at, status in (("3", 3, 0), ("1", 99, 1)):
            with self.subTest(retries=retries), Server(answer) as server:
                self.empty_directory()
                run = self.start("--dir", self.dir, server.url("/x"))
                self.assertTrue(server.wait_for(1))
                self.wait_until(self.files)
                run.process.kill()
                run.process.wait()
                server.release.set()
                name, = self.files()
                lock.append(os.open(self.dir / name, os.O_RDONLY))
                fcntl.flock(lock[0], fcntl.LOCK_EX)
                result = self.fetch("--retries", retries, server.url("/x"))
                self.assert_status(status, result)
                if status:
                    self.assert_reason("exists", result.rows[0], result)
                    self.assertEqual(2, result.rows[0]["attempts"], result)
                    os.close(lock.pop())
                else:
                    self.assert_files(["x"], result)

    def test_TheSoftLimitIsRaised(self):
        result = self.fetch("-c", "64", "--per-host", "0",
                            "-i", self.list_file(*[self.server.url(f"/n{i}") for i in range(150)]),
                            shell="ulimit -S -n 32")
        self.assert_status(0, result)
        self.assertNotRegex(result.err, r"(?i)descriptor|RLIMIT_NOFILE|ulimit -n")

    @support.each_executor
    def test_ClosedStandardDescriptors(self, executor):
        """0, 1 and 2 closed at the start: no file of ours takes their place and swallows the messages."""
        words = [support.binary, "fetch", "-x", executor, "-w", "2", "--dir", str(self.dir), "--mark", "site",
                 self.server.url("/a"), self.server.url("/b"), self.server.url("/c")]
        done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], timeout=support.WATCHDOG,
                              env=support.clean_environment())
        self.assertEqual(0, done.returncode)
        self.assert_files(["a", "b", "c"])
        for name in "abc":
            self.assertEqual(body_of("/" + name), (self.dir / name).read_bytes())

    @support.each_executor
    def test_InheritedSignalStateDoesNoHarm(self, executor):
        """SIGCHLD and SIGPIPE ignored by whoever started us, as some supervisors do."""
        result = self.fetch("-x", executor, "-w", "2", self.server.url("/a"), self.server.url("/b"), shell="trap '' CHLD PIPE")
        self.assert_status(0, result)
        self.assert_files(["a", "b"], result)


if __name__ == "__main__":
    support.main()
