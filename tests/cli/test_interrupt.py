# SPDX-License-Identifier: Apache-2.0
# limit: 240
"""Ctrl-C once and twice, SIGTERM, broken pipes, and death at any moment: what is left is whole or not there."""

import fcntl
import os
import pathlib
import pty
import random
import re
import select
import signal
import subprocess
import termios
import time
import uuid

import support
from server import Server, body_of, by_path, whole

TAG = "PLAIT_TEST_TAG"


def carriers(tag):
    """Every process that has the tag in its environment: the command, its helper, its workers."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if tag.encode() in file.read():
                    with open(f"/proc/{name}/stat") as stat:
                        if stat.read().rsplit(")", 1)[1].split()[0] != "Z":
                            found.append(int(name))
        except OSError:
            pass
    return found


def is_gone(pid):
    """Gone or a zombie. Its environment goes before its files are closed, so that does not tell."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


class Gated(support.CommandTest):
    """A server that sends half of each body and the rest only when the gate is opened."""

    def setUp(self):
        super().setUp()

        def half(connection, request):
            body = body_of(request.path) * 100
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n", body[:len(body) // 2])
            if not connection.hold():
                return False
            connection.send(body[len(body) // 2:])
            return True

        server = Server(by_path({"/half": half}, whole))
        self.server = server.__enter__()
        self.addCleanup(server.stop)
        self.tag = uuid.uuid4().hex
        self.report = self.path / "report.jsonl"

    def begin(self, executor, *options, count=12, connections=4, **more):
        urls = [self.server.url(f"/half{i}") for i in range(count)]
        self.urls = urls
        self.server.release.clear()
        self.server.forget()
        self.report.unlink(missing_ok=True)
        run = self.start("-x", executor, "-w", "2", "-c", str(connections), "--per-host", "0", "--dir", self.dir,
                         "--report", self.report, *options, *urls, env={TAG: self.tag}, **more)
        busy = {"serial": 1, "threads": 2, "processes": 2}.get(executor, connections)
        self.assertTrue(self.server.wait_for(min(busy, connections, count)), "the downloads did not begin")
        return run

    def settle(self, run, terminal=None):
        """Until the command says that it has understood; how many it has in flight, all of which reach the server."""
        source = run.process.stderr.fileno() if terminal is None else terminal
        said = b""
        deadline = time.monotonic() + support.WATCHDOG
        while not (found := re.search(rb"stopping: (\d+) in flight[^\n]*\n", said)):
            self.assertTrue(select.select([source], [], [], deadline - time.monotonic())[0], f"not understood: {said!r}")
            piece = os.read(source, 1)
            self.assertNotEqual(b"", piece, f"it ended: {said!r}")
            said += piece
        started = int(found[1])
        self.assertTrue(self.server.wait_for(started), "what is in flight does not arrive")
        self.assertIsNone(run.process.poll(), "it did not wait for what is in flight")
        return started

    def assert_nobody_left(self):
        deadline = time.monotonic() + 10
        while carriers(self.tag) and time.monotonic() < deadline:
            select.select([], [], [], 0.01)
        self.assertEqual([], carriers(self.tag), "processes left behind")

    def assert_only_whole_files(self, result="", temporary=False):
        for name in self.files():
            if temporary and name.startswith(".plait-"):
                continue
            self.assertFalse(name.endswith(".part"), f"a temporary file was left: {name}\n{result}")
            self.assertEqual(body_of("/" + name) * 100, (self.dir / name).read_bytes(), f"{name} is not whole\n{result}")


class Interrupted(Gated):
    @support.each_executor
    def test_TheFirstCtrlCFinishesWhatIsInFlightAndStartsNothing(self, executor):
        run = self.begin(executor)
        run.signal(signal.SIGINT)
        started = self.settle(run)
        self.server.release.set()
        result = run.finish()
        self.assert_status(130, result)
        self.assertEqual(started, len(self.server.seen()), f"a request after Ctrl-C\n{result}")
        self.assert_only_whole_files(result)
        rows = self.rows(self.report, result)
        self.assertEqual(self.urls, [row["url"] for row in rows], result)
        done = [row for row in rows if row["error"] is None]
        self.assertEqual(started, len(done), f"what was in flight has been finished\n{result}")
        for row in rows:
            if row["error"] is not None:
                self.assert_reason({"not_started", "interrupted"}, row, result)
        self.assertIn("not_started", {row["reason"] for row in rows})
        self.assert_nobody_left()

    @support.each_executor
    def test_TheSecondCtrlCEndsAtOnce(self, executor):
        run = self.begin(executor)
        run.signal(signal.SIGINT)
        self.settle(run)
        run.signal(signal.SIGINT)
        result = run.finish(watchdog=8)             # the first one alone would take 10 s
        self.assert_status(130, result)
        self.assert_only_whole_files(result, temporary=True)    # it saves nothing more, nor does it tidy up
        self.assert_nobody_left()

    def test_AfterTheFirstCtrlCTheWaitIsBounded(self):
        run = self.begin("loop")
        begin = time.monotonic()
        run.signal(signal.SIGINT)
        result = run.finish(watchdog=30)
        self.assertLess(time.monotonic() - begin, 25)
        self.assert_status(130, result)
        self.assert_only_whole_files(result)

    @support.each_executor
    def test_CtrlCAtATerminalReachesTheWholeGroup(self, executor):
        """X6: the workers get the signal too; they neither die nor print, the parent decides."""
        master, slave = pty.openpty()
        tty = os.ttyname(slave)
        try:
            # setsid makes a new session; opening the terminal there makes it the controlling one.
            run = self.begin(executor, stdin=slave, stderr=slave, start_new_session=True, shell=f"exec <{tty}")
            os.write(master, b"\x03")
            started = self.settle(run, master)
            os.set_blocking(master, False)
            self.server.release.set()
            result = run.finish()
            self.assert_status(130, result)
            self.assertEqual(started, len(self.files()), "a worker died of the signal, or work was lost")
            self.assert_only_whole_files()
            shown = b""
            try:
                while piece := os.read(master, 65536):
                    shown += piece
            except OSError:
                pass
            self.assertNotRegex(shown.decode("utf-8", "replace"), r"(?i)worker.*(lost|died|signal)|terminate|traceback|abort")
            self.assert_nobody_left()
        finally:
            os.close(master)
            os.close(slave)

    def test_SigtermAndSighupAreLikeTheFirstCtrlC(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                self.empty_directory()
                run = self.begin("loop")
                run.signal(number)
                started = self.settle(run)
                self.server.release.set()
                result = run.finish()
                self.assert_status(130, result)
                self.assertEqual(started, len(self.files()), result)
                self.assert_only_whole_files(result)
                self.assert_nobody_left()

    def test_WhoWaitsToBeAskedAgainIsInterrupted(self):
        def busy(connection, request):
            connection.answer(b"", "503 Busy", ["Retry-After: 200"])
            return True
        with Server(busy) as other:
            # One place for each of two: the second of this server's comes when the busy one has been answered.
            run = self.begin("loop", other.url("/busy"), count=2, connections=2)
            run.signal(signal.SIGINT)
            self.settle(run)
            self.server.release.set()
            result = run.finish()
        self.assert_status(130, result)
        rows = {row["url"]: row for row in self.rows(self.report, result)}
        self.assert_reason("interrupted", rows[other.url("/busy")], result)
        self.assertEqual(1, rows[other.url("/busy")]["attempts"])

    def test_QuietSaysNothingOfIt(self):
        run = self.begin("loop", "--quiet", count=1)
        run.signal(signal.SIGINT)
        self.server.release.set()
        result = run.finish()
        self.assertNotIn("stopping", result.err)

    def test_AnIgnoredCtrlCStaysIgnored(self):
        """As behind a shell's `&`, or under nohup: not its signal."""
        run = self.begin("loop", shell='trap "" INT')
        run.signal(signal.SIGINT)
        self.server.release.set()
        result = run.finish()
        self.assert_status(0, result)
        self.assertEqual(12, len(self.files()), result)
        self.assert_only_whole_files(result)

    @support.each_executor
    def test_KillInTheMiddleLeavesNoFinalNameAndNobody(self, executor):
        run = self.begin(executor)
        everybody = carriers(self.tag)
        run.signal(signal.SIGKILL)
        run.process.wait()
        self.wait_until(lambda: all(is_gone(pid) for pid in everybody))     # until then they may hold locks
        for name in self.files():
            self.assertRegex(name, r"^\.plait-.*\.part$", "something half-written under a final name")
        if executor in ("loop", "loops"):
            self.assertEqual([], self.files(), "small bodies are in memory until they are whole")
        self.assert_nobody_left()
        self.server.release.set()
        # The next run takes over what was left, and ends with whole files only.
        result = self.fetch("-x", executor, *self.urls)
        self.assert_status(0, result)
        self.assertEqual(12, len(self.files()), result)
        self.assert_only_whole_files(result)

    def test_KillAtRandomMomentsLeavesWholeFilesOnly(self):
        seed = int(os.environ.get("PLAIT_SEED", "0")) or random.randrange(1 << 32)
        print(f"PLAIT_SEED={seed}", flush=True)
        chance = random.Random(seed)
        self.server.release.set()
        urls = [self.server.url(f"/half{i}") for i in range(300)]
        listed = self.list_file(*urls)
        for round_number in range(15):
            executor = chance.choice(support.EXECUTORS)
            self.empty_directory()
            run = self.start("-x", executor, "--dir", self.dir, "-i", listed, env={TAG: self.tag})
            try:
                run.process.wait(chance.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                run.signal(signal.SIGKILL)
                run.process.wait()
            self.assert_nobody_left()
            for name in self.files():
                if not name.startswith(".plait-"):
                    self.assertEqual(body_of("/" + name) * 100, (self.dir / name).read_bytes(), f"{name}, seed {seed}")

    @support.each_executor
    def test_AWorkersDeathCostsOneItemAtMost(self, executor):
        if executor != "processes":
            return
        run = self.begin(executor)
        workers = [pid for pid in carriers(self.tag) if pid != run.process.pid and self.is_leaf(pid)]
        self.assertTrue(workers, "no worker processes seen")
        os.kill(workers[0], signal.SIGKILL)
        self.server.release.set()
        result = run.finish()
        rows = self.rows(self.report, result)
        self.assertEqual(12, len(rows))
        self.assertLessEqual(sum(row["error"] is not None for row in rows), 2, f"at most what that worker held\n{result}")
        self.assert_only_whole_files(result)
        self.assert_nobody_left()

    @staticmethod
    def is_leaf(pid):
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
            return not any(pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().strip() for task in tasks)
        except OSError:
            return False


class AListThatIsAPipe(Gated):
    @support.each_executor
    def test_HalfALineHoldsUpNothing(self, executor):
        """What was asked ends while the next line is half there, and Ctrl-C ends the rest."""
        run = self.begin(executor, "-i", "-", stdin=subprocess.PIPE, count=2, connections=2)
        self.assertTrue(self.server.wait_for(1))
        run.process.stdin.write(b"http://127.0.0.1/ha")
        run.process.stdin.flush()
        self.server.release.set()
        deadline = time.monotonic() + 30
        while self.files() != ["half0", "half1"] and time.monotonic() < deadline:
            select.select([], [], [], 0.01)
        self.assertEqual(["half0", "half1"], self.files(), "the half line held up the rest")
        self.assert_only_whole_files()
        run.signal(signal.SIGINT)
        run.process.wait(support.WATCHDOG)          # with the pipe still open
        result = run.finish()
        self.assert_status(130, result)
        self.assertEqual(self.urls, [row["url"] for row in self.rows(self.report, result)], result)

    @support.each_executor
    def test_CtrlCLosesNoArgument(self, executor):
        run = self.begin(executor, "-i", "-", stdin=subprocess.PIPE, connections=1)
        run.signal(signal.SIGINT)
        self.server.release.set()
        run.process.wait(support.WATCHDOG)
        result = run.finish()
        self.assert_status(130, result)
        self.assertEqual(self.urls, [row["url"] for row in self.rows(self.report, result)], result)


class BrokenPipes(support.CommandTest):
    @support.each_executor
    def test_AReaderThatLeaves(self, executor):
        """`plait fetch --mark site | head -c 1`: no death by signal, no half file, no noise."""
        with Server(whole) as server:
            urls = [server.url(f"/{i}") for i in range(60)]
            for options in (["--mark", "site"], ["--report", "-"], ["--json"]):
                with self.subTest(options=options):
                    self.empty_directory()
                    reading, writing = os.pipe()
                    os.close(reading)
                    run = self.start("-x", executor, "-w", "2", "--dir", self.dir, *options, *urls, stdout=writing)
                    os.close(writing)
                    result = run.finish()
                    self.assertIn(result.status, (0, 1, 3, 141), result)
                    self.assertNotRegex(result.err, "(?i)terminate|abort|core dumped")
                    for name in self.files():
                        self.assertEqual(body_of("/" + name), (self.dir / name).read_bytes())

    def test_AStderrThatLeaves(self):
        with Server(whole) as server:
            reading, writing = os.pipe()
            os.close(reading)
            run = self.start("--dir", self.dir, server.url("/x"), server.url("/404/"), stderr=writing)
            os.close(writing)
            result = run.finish()
        self.assertIn(result.status, (0, 1), result)
        self.assertIn("x", self.files())


class Terminal(support.CommandTest):
    """What a terminal shows, and what only a terminal is shown."""

    def at_terminal(self, *arguments, env=None, until=None):
        """What the command shows while one of two downloads is held: until `until` is seen, else for 0.6 s."""
        def held(connection, request):
            if request.path == "/held" and not connection.hold():
                return False
            return whole(connection, request)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\x00\x00\x00\x00")
        with Server(held) as server:
            run = self.start("--dir", self.dir, *arguments, server.url("/a"), server.url("/held"), stderr=slave,
                             env={"TERM": "xterm", **(env or {})})
            os.close(slave)
            self.assertTrue(server.wait_for(2), "the downloads did not begin")
            shown = b""
            deadline = time.monotonic() + (30 if until else 0.6)
            try:
                while True:
                    if not server.release.is_set():
                        if (until and re.search(until, shown)) or time.monotonic() >= deadline:
                            server.release.set()
                            continue
                        if not select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
                            continue
                    piece = os.read(master, 65536)
                    if not piece:
                        break
                    shown += piece
            except OSError:
                pass                                # the other side has closed it
            os.close(master)
            result = run.finish()
        self.assert_status(0, result)
        if until:
            self.assertRegex(shown, until)
        return shown

    PROGRESS = rb"\b[01]\s*/\s*2\b|\b1 of 2\b"

    def test_ProgressIsShown(self):
        shown = self.at_terminal(until=self.PROGRESS)
        self.assertTrue(b"\r" in shown.replace(b"\r\n", b""), "one line, written again and again")

    def test_ALongDownloadShowsItsSpeedAndTheTimeThatIsLeft(self):
        """Before any item has ended: by the length that the answer announced."""
        def slow(connection, request):
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not connection.server.release.wait(0.02):
                connection.send(b"x" * 1000)
        master, slave = pty.openpty()
        with Server(slow) as server:
            run = self.start("--dir", self.dir, "--retries", "0", server.url("/a"), stderr=slave)
            os.close(slave)
            shown = b""
            while not re.search(rb"[1-9][0-9.]* K?i?B/s, 1 in flight, about [1-9][0-9]* s left", shown):
                self.assertTrue(select.select([master], [], [], support.WATCHDOG)[0], shown[-300:])
                shown += os.read(master, 65536)
                self.assertLess(len(shown), 100_000, shown[-300:])
            run.process.kill()
        os.close(master)

    def test_NoColor(self):
        shown = self.at_terminal(env={"NO_COLOR": "1"}, until=self.PROGRESS)
        self.assertNotRegex(shown, rb"\x1b\[[0-9;]*m")

    def test_ADumbTerminalGetsNoEscapes(self):
        shown = self.at_terminal(env={"TERM": "dumb", "NO_COLOR": "1"})
        self.assertNotIn(b"\x1b", shown)

    def test_QuietShowsNoProgress(self):
        self.assertEqual(b"", self.at_terminal("--quiet"))

    def test_TheCursorIsLeftVisible(self):
        shown = self.at_terminal(until=self.PROGRESS)
        self.assertEqual(shown.count(b"\x1b[?25l"), shown.count(b"\x1b[?25h"))

    def test_NoTerminalNoEscapes(self):
        with Server(whole) as server:
            result = self.fetch(server.url("/a"))
        self.assertNotIn(b"\x1b", result.stderr)
        self.assertNotIn(b"\r", result.stderr)
        self.assertTrue(result.stderr.endswith(b"\n"), "a summary line at the end")


if __name__ == "__main__":
    support.main()
