# SPDX-License-Identifier: Apache-2.0
# limit: 90
"""The three classic programs and their Python twins, run against the same server: they do the same, and no C++
program is longer than its twin."""

import os
import re
import subprocess
import sys

import support
from server import Server, by_path, whole

PROGRAMS = ("threads", "loop", "processes")


def code_lines(path):
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text()
    if path.suffix == ".py":
        text = re.sub(r'^\s*""".*?"""', "", text, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    else:
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    return sum(bool(line.strip()) for line in text.splitlines())


class Lines(support.CommandTest):
    def test_NoCppProgramIsLongerThanItsTwin(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                cpp = code_lines(support.ROOT / f"examples/download_{name}.cpp")
                python = code_lines(support.ROOT / f"examples/python/download_{name}.py")
                print(f"download_{name}: {cpp} lines of C++, {python} of Python", flush=True)
                self.assertLessEqual(cpp, python)

    def test_NoLineIsLongerThanTheTreeAllows(self):
        for path in [*support.ROOT.glob("examples/*.cpp"), *support.ROOT.glob("examples/python/*.py")]:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                self.assertLessEqual(len(line), 110, f"{path}:{number}")
                self.assertLessEqual(line.count(";"), 3, f"{path}:{number}: statements pressed into one line")


class Channels(support.CommandTest):
    def test_ThePipelineOfThreeChannelsPassesEverythingOn(self):
        program = os.path.join(os.path.dirname(support.binary), "examples", "channels")
        done = subprocess.run([program, "500"], capture_output=True, text=True, env=support.clean_environment(),
                              timeout=support.WATCHDOG, check=True)
        lines = done.stdout.splitlines()
        self.assertEqual(4, len(lines), done.stdout)
        self.assertEqual("500 lines", lines[-1])
        self.assertTrue(all(re.fullmatch(r"square \d+", line) for line in lines[:3]), done.stdout)


class Queens(support.CommandTest):
    def test_TheNumbersOfSolutionsAreTheKnownOnes(self):
        program = os.path.join(os.path.dirname(support.binary), "examples", "nqueens")
        for n, solutions in ((1, 1), (6, 4), (8, 92), (11, 2680)):
            done = subprocess.run([program, str(n)], capture_output=True, text=True, env=support.clean_environment(),
                                  timeout=support.WATCHDOG, check=True)
            self.assertEqual(f"{n} queens: {solutions} solutions\n", done.stdout)


class BuildGraph(support.CommandTest):
    def test_TheBuildIsMendedUntilItIsGood(self):
        program = os.path.join(os.path.dirname(support.binary), "examples", "build_graph")
        done = subprocess.run([program], capture_output=True, text=True, env=support.clean_environment(),
                              timeout=support.WATCHDOG, check=True)
        self.assertEqual(["configured", "linked 3 objects", "mended, 1 left", "linked 3 objects", "mended, 0 left",
                          "linked 3 objects", "installed"], done.stdout.splitlines())
        dot = subprocess.run([program, "--dot"], capture_output=True, text=True, env=support.clean_environment(),
                             timeout=support.WATCHDOG, check=True).stdout
        self.assertIn('[label="good?", shape=diamond];', dot)


class Parallel(support.CommandTest):
    def run_example(self, name, *arguments, **options):
        program = os.path.join(os.path.dirname(support.binary), "examples", name)
        return subprocess.run([program, *arguments], capture_output=True, env=support.clean_environment(),
                              timeout=support.WATCHDOG, cwd=self.path, **options)

    def test_MandelbrotWritesAPicture(self):
        done = self.run_example("mandelbrot", "60", "40", check=True)
        header, pixels = done.stdout[:13], done.stdout[13:]
        self.assertEqual(b"P5\n60 40\n255\n", header)
        rows = [pixels[60 * i:60 * (i + 1)] for i in range(40)]
        self.assertEqual(2400, len(pixels))
        self.assertEqual(0, rows[20][40])     # the origin belongs to the set
        self.assertNotEqual(0, rows[0][0])
        for row in range(1, 20):              # mirrored at the real axis
            self.assertEqual(rows[20 - row], rows[20 + row])
        self.run_example("mandelbrot", "60", "40", "set.pgm", check=True)
        with open(os.path.join(self.path, "set.pgm"), "rb") as file:
            self.assertEqual(done.stdout, file.read())
        self.assertEqual(2, self.run_example("mandelbrot", "0", "7").returncode)

    def test_WordcountCountsAsWc(self):
        texts = {"empty": b"", "one": b"one line\n", "open": b"no end", "long": b" a bc\tdef\n\n" * 30000}
        for name, text in texts.items():
            with open(os.path.join(self.path, name), "wb") as file:
                file.write(text)
        done = self.run_example("wordcount", *texts, check=True)
        expected = [(text.count(b"\n"), len(text.split()), len(text)) for text in texts.values()]
        lines = [f"{a} {b} {c} {name}" for (a, b, c), name in zip(expected, texts)]
        lines.append(" ".join(map(str, map(sum, zip(*expected)))) + " total")
        self.assertEqual(lines, done.stdout.decode().splitlines())
        done = self.run_example("wordcount", input=texts["long"], check=True)
        self.assertEqual("60000 90000 330000\n", done.stdout.decode())
        self.assertEqual(1, self.run_example("wordcount", "missing").returncode)


class Team(support.CommandTest):
    def test_TheHeatIsTheSameOverEveryExecutorAndForEveryNumberOfMembers(self):
        program = os.path.join(os.path.dirname(support.binary), "examples", "team")
        results = set()
        for kind, members in (("threads", 1), ("threads", 4), ("loop", 5), ("loops", 3), ("processes", 2), ("processes", 6)):
            done = subprocess.run([program, kind, str(members), "50"], capture_output=True, text=True,
                                  env=support.clean_environment(), timeout=support.WATCHDOG, check=True)
            start = f"{members} members over {kind}: warmest "
            self.assertTrue(done.stdout.startswith(start), done.stdout)
            results.add(done.stdout[len(start):])
        self.assertEqual(1, len(results), results)
        self.assertEqual(1, subprocess.run([program, "serial", "2"], capture_output=True, env=support.clean_environment(),
                                           timeout=support.WATCHDOG).returncode)


class Programs(support.CommandTest):
    def command(self, name, language):
        if language == "python":
            python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
            return [python, str(support.ROOT / f"examples/python/download_{name}.py")]
        program = os.path.join(os.path.dirname(support.binary), "examples", f"download_{name}")
        self.assertTrue(os.access(program, os.X_OK), f"{program} is not built")
        return [program]

    def run_program(self, name, language, *urls):
        done = subprocess.run([*self.command(name, language), *urls], capture_output=True, text=True,
                              env=support.clean_environment(), timeout=support.WATCHDOG, cwd=self.path)
        return support.Result([f"{language} download_{name}", *urls], done.returncode, done.stdout.encode(),
                              done.stderr.encode())

    def what_it_did(self, name, language):
        """Everything two programs can be compared by: requests, connections, marks, the last line."""
        with Server(whole) as first, Server(whole) as second:
            urls = first.url("/first/site"), second.url("/second/site/that/is/longer")
            result = self.run_program(name, language, *urls)
            self.assert_status(0, result)
            marks, last = result.out.strip().split("\n")
            if name == "processes":
                marks = marks.split()
            numbers = re.fullmatch(r"(\d+) downloads, (\d+) bytes, (\d+(?:\.\d+)?(?:e-\d+)?) seconds", last)
            self.assertTrue(numbers, result)
            did = {
                "requests": (len(first.seen()), len(second.seen())),
                "paths": {request.target for server in (first, second) for request in server.seen()},
                "methods": {request.method for server in (first, second) for request in server.seen()},
                "downloads": int(numbers[1]),
                "bytes": int(numbers[2]),
                "marks": len(marks),
            }
            if name != "loop":                      # aiohttp has a limit of its own there
                did["connections are kept"] = max(first.connections, second.connections) < 40
            if name == "processes":
                did["several workers"] = len(set(marks)) > 1
            else:
                did["letters"] = {letter: marks.count(letter) for letter in set(marks)}
            if name == "threads":
                did["at most five at once"] = first.most_active + second.most_active <= 10
                did["connections a site"] = first.connections <= 5 and second.connections <= 5
            return did

    def test_TheTwinsDoTheSame(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                python = self.what_it_did(name, "python")
                self.assertEqual((80, 80), python["requests"])
                self.assertEqual(160, python["downloads"])
                self.assertEqual(python, self.what_it_did(name, "c++"))

    def test_AFailureIsReturnedInItsPlaceByTheLoop(self):
        for language in ("python", "c++"):
            with self.subTest(language=language):
                with Server(by_path({"/good": whole})) as server:
                    result = self.run_program("loop", language, server.url("/good"), server.url("/bad"))
                    self.assertEqual(160, len(server.seen()), result)
                self.assert_status(0, result)
                self.assert_says(r"\n80 downloads, ", result, "out")
                self.assert_says(r"failed: .*404", result, "out")

    def test_AFailureEndsTheOtherTwoWithAMessage(self):
        for name in ("threads", "processes"):
            for language in ("python", "c++"):
                with self.subTest(program=name, language=language):
                    with Server(by_path({"/good": whole})) as server:
                        result = self.run_program(name, language, server.url("/good"), server.url("/bad"))
                    self.assertNotEqual(0, result.status, result)
                    self.assert_says("404", result)

    def test_WrongUsage(self):
        for name in PROGRAMS:
            for language in ("python", "c++"):
                with self.subTest(program=name, language=language):
                    result = self.run_program(name, language, "http://127.0.0.1:1/only-one")
                    self.assertNotEqual(0, result.status, result)
                    self.assert_says("usage: download_", result)


if __name__ == "__main__":
    support.main()
