# SPDX-License-Identifier: Apache-2.0
"""What every test of the command shares: starting the real binary under a watchdog, reading what it said, and
looking at what it left on the disk.

    python3 tests/cli/test_names.py --binary build/release/plait [unittest's own arguments]

The binary is found by --binary, else by $PLAIT, else at build/release/plait.
"""

import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# All of them, but for a look at some: PLAIT_TEST_EXECUTORS=serial,loop
EXECUTORS = tuple(os.environ.get("PLAIT_TEST_EXECUTORS", "serial threads loop loops processes").replace(",", " ").split())
REPORT_KEYS = ["url", "effective_url", "status", "file", "bytes", "sha256", "attempts", "seconds", "error", "reason"]
REASONS = {"http", "timeout", "stall", "connect", "dns", "tls", "short", "range", "too_large", "redirect", "url",
           "exists", "disk", "checksum", "interrupted", "not_started"}
# A watchdog, not a measure: a loaded machine may be ten times slower, a hang lasts for ever.
WATCHDOG = float(os.environ.get("PLAIT_TEST_WATCHDOG", "60"))

binary = os.environ.get("PLAIT", str(ROOT / "build/release/plait"))


def clean_environment(**changes):
    """The environment without what would change the outcome on some machines: proxies, CAs, colours."""
    dropped = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle", "ssl_cert_file", "no_color",
               "clicolor_force"}
    environment = {name: value for name, value in os.environ.items() if name.lower() not in dropped}
    environment["LC_ALL"] = "C.UTF-8"
    environment["TERM"] = "xterm"
    environment.update(changes)
    return environment


class Result:
    """One finished run: exit status (negative: the signal), both outputs as bytes, and text for messages."""

    def __init__(self, arguments, status, stdout, stderr):
        self.arguments = arguments
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    @property
    def out(self):
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def err(self):
        return self.stderr.decode("utf-8", "backslashreplace")

    def __str__(self):
        shown = " ".join(argument if len(argument) < 200 else argument[:200] + "..." for argument in self.arguments)
        return f"$ {shown}\nexit {self.status}\nstdout: {self.out[-2000:]!r}\nstderr: {self.err[-3000:]}"


class Run:
    """A run in progress, for tests that send signals or look in the middle."""

    def __init__(self, arguments, **options):
        self.arguments = [str(argument) for argument in arguments]
        self.process = subprocess.Popen(self.arguments, **options)

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self, standard_input=None, watchdog=WATCHDOG):
        try:
            stdout, stderr = self.process.communicate(standard_input, timeout=watchdog)
        except subprocess.TimeoutExpired:
            stacks = stack_of(self.process.pid)
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"no end after {watchdog} s\n"
                                 f"{Result(self.arguments, 'hang', stdout or b'', stderr or b'')}\n{stacks}") from None
        return Result(self.arguments, self.process.returncode, stdout or b"", stderr or b"")


def stack_of(pid):
    """The stacks of a process that hangs, if elfutils is there; the message of the failed test carries them."""
    try:
        return subprocess.run(["eu-stack", "-p", str(pid)], capture_output=True, timeout=20, text=True).stdout[-6000:]
    except (OSError, subprocess.TimeoutExpired):
        return "(no eu-stack)"


# UBSan looks at memory through a pipe, and takes every object for a broken one where it cannot make one.
needs_no_descriptors = unittest.skipIf(os.environ.get("PLAIT_SANITIZER"), "the sanitizer needs descriptors itself")


class CommandTest(unittest.TestCase):
    """A test with a directory of its own (self.path), an output directory (self.dir) and the command."""

    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="plait-cli-", ignore_cleanup_errors=True)
        self.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name)
        self.dir = self.path / "out"
        self.dir.mkdir()

    # Running ------------------------------------------------------------------------------------------------

    def start(self, *arguments, command="fetch", env=None, shell=None, **options):
        """shell: words of sh that come before the command, such as 'ulimit -n 32'."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        words = [binary] + ([command] if command else []) + list(arguments)
        if shell:
            words = ["sh", "-c", shell + '; exec "$@"', "sh"] + [os.fspath(word) for word in words]
        run = Run(words, env=clean_environment(**(env or {})), **options)
        self.addCleanup(self.put_down, run)
        return run

    @staticmethod
    def put_down(run):
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGKILL)
            run.process.wait()
        for stream in (run.process.stdin, run.process.stdout, run.process.stderr):
            if stream is not None:
                stream.close()

    def run_plait(self, *arguments, standard_input=None, watchdog=WATCHDOG, **options):
        if standard_input is not None:
            options["stdin"] = subprocess.PIPE
        return self.start(*arguments, **options).finish(standard_input, watchdog)

    def fetch(self, *arguments, **options):
        """plait fetch into self.dir with a report; .rows holds the report's rows."""
        report = self.path / "report.jsonl"
        report.unlink(missing_ok=True)
        result = self.run_plait("--dir", self.dir, "--report", report, *arguments, **options)
        result.rows = self.rows(report, result)
        return result

    def rows(self, report, result=""):
        """The report, each line checked for being one whole object with exactly the documented keys in front."""
        if not report.exists():
            return []
        text = report.read_bytes()
        self.assertTrue(text == b"" or text.endswith(b"\n"), f"the report's last line is cut: {text[-200:]!r}\n{result}")
        rows = []
        for line in text.splitlines():
            row = json.loads(line)
            self.assertEqual(REPORT_KEYS, list(row)[:len(REPORT_KEYS)], f"keys of {line!r}\n{result}")
            if row["error"] is None:
                self.assertIsNone(row["reason"], f"a reason without an error: {line!r}\n{result}")
            else:
                self.assertIn(row["reason"], REASONS, f"{line!r}\n{result}")
                self.assertIsNone(row["file"], f"a failed item has no file: {line!r}\n{result}")
            rows.append(row)
        return rows

    def list_file(self, *lines, name="list.txt"):
        path = self.path / name
        path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
        return path

    def wait_until(self, true, seconds=WATCHDOG):
        """Until true() is; what a test waits for where nobody tells."""
        deadline = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), deadline, "it did not come about")
            select.select([], [], [], 0.005)

    # Looking ------------------------------------------------------------------------------------------------

    def files(self, directory=None):
        """Every name below the directory, sorted, hidden ones too: bytes as the disk has them, decoded for reading."""
        top = os.fsencode(directory or self.dir)
        found = []
        for folder, _, names in os.walk(top):
            found += [os.path.relpath(os.path.join(folder, name), top) for name in names]
        return sorted(name.decode("utf-8", "surrogateescape") for name in found)

    def assert_status(self, expected, result):
        self.assertEqual(expected, result.status, f"exit status\n{result}")

    def assert_files(self, expected, result=""):
        self.assertEqual(sorted(expected), self.files(), f"files left in the directory\n{result}")

    def assert_says(self, pattern, result, where="err"):
        self.assertRegex(getattr(result, where), pattern, f"std{where} does not say it\n{result}")

    def assert_reason(self, reasons, row, result=""):
        wanted = {reasons} if isinstance(reasons, str) else set(reasons)
        self.assertIn(row["reason"], wanted, f"{row}\n{result}")

    def assert_no_raw_control(self, data, result, allowed=b"\n\t"):
        """Foreign text has no way to the terminal: no C0, DEL, C1 or bidi character came through."""
        raw = sorted({byte for byte in data if (byte < 32 or byte == 127) and byte not in allowed})
        self.assertEqual([], raw, f"control bytes came through\n{result}")
        text = data.decode("utf-8", "surrogateescape")
        bad = sorted({f"U+{ord(c):04X}" for c in text
                      if 0x80 <= ord(c) < 0xA0 or ord(c) in range(0x202A, 0x202F) or ord(c) in range(0x2066, 0x206A)
                      or ord(c) in (0x200E, 0x200F, 0x061C) or 0xDC80 <= ord(c) <= 0xDCFF})
        self.assertEqual([], bad, f"C1, bidi or invalid characters came through\n{result}")

    def empty_directory(self):
        for name in self.files():
            os.unlink(os.path.join(os.fsencode(self.dir), os.fsencode(name)))


def each_executor(test, executors=EXECUTORS):
    """Runs test(self, executor) once per executor, as sub-tests, each with an empty output directory."""
    @functools.wraps(test)
    def run(self):
        for executor in executors:
            with self.subTest(executor=executor):
                self.empty_directory()
                test(self, executor)
    return run


def main():
    """unittest.main() behind --binary; a binary that is not there is an error, never a skip."""
    global binary
    arguments = sys.argv
    if "--binary" in arguments:
        place = arguments.index("--binary")
        binary = arguments[place + 1]
        del arguments[place:place + 2]
    binary = os.path.abspath(binary)
    if not os.access(binary, os.X_OK):
        sys.exit(f"tests/cli: no binary at {binary}: build it, or name it with --binary")
    # Behind a shell's `&` SIGINT is ignored, and what is ignored is inherited; the tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # `support` as imported by the test files and this module must agree on the binary.
    sys.modules["support"].binary = binary
    unittest.main(module="__main__", verbosity=int(os.environ.get("PLAIT_TEST_VERBOSITY", "1")))
