# SPDX-License-Identifier: Apache-2.0
"""How a list of mutants is tried: each is made, compiled with its model's test, and must be killed by it. See mutants.py."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests/model"
INCLUDE, SRC = "include/plait/", "src/"


class Failed(Exception):
    """It could not be tried."""


class Tries:
    """Compiles models, of each the parts that no mutant touches once."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.lock = threading.Lock()
        self.locks = {}  # by model and source
        self.objects = {}  # of what no mutant touches, likewise

    def parts_of(self, model):
        """A model's test and the sources that it names in `with:`, each with its flags; and what is `small:`, by path."""
        parts, small = {MODEL / f"{model}.cpp": []}, {}
        for line in (MODEL / f"{model}.cpp").read_text(encoding="utf-8").splitlines():
            if line.startswith("// with: "):
                for name in line.removeprefix("// with: ").split():
                    parts[ROOT / SRC / f"{name}.cpp"] = ["-include", f"{MODEL}/shadow/std_threads.hpp"]
            if found := re.fullmatch(r"// small: (\S+) (.+) -> (.+)", line):
                path = SRC + found[1] if (ROOT / SRC / found[1]).exists() else "include/" + found[1]
                small.setdefault(path, []).append((found[2], found[3]))
        return parts, small

    def make_small(self, folder, small, file=None, text=""):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in {*small, file} - {None}:
            smaller = text if path == file else (ROOT / path).read_text(encoding="utf-8")
            for before, after in small.get(path, []):
                smaller = smaller.replace(before, after)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(smaller, encoding="utf-8")

    def compile(self, folder, source, flags):
        result = folder / (source.stem + ("_model.o" if source.parent == MODEL else ".o"))
        compiled = subprocess.run([*self.arguments.compiler.split(), "-std=c++20", *self.arguments.flags.split(), "-w",
                                   f"-I{folder}/src", f"-I{folder}/include", f"-I{MODEL}/shadow", f"-I{ROOT}/include",
                                   f"-I{ROOT}/src", f"-I{MODEL}", *flags, "-c", source, "-o", result],
                                  capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise Failed("does not compile:\n" + compiled.stderr[:2000])
        return result

    def untouched_object(self, model, source, flags, small):
        folder = self.arguments.work / f"untouched_{model}"
        with self.lock:
            if model not in self.locks:
                self.locks[model] = {}
                self.make_small(folder, small)
            mine = self.locks[model].setdefault(source, threading.Lock())
        with mine:
            if (model, source) not in self.objects:
                self.objects[model, source] = self.compile(folder, source, flags)
            return self.objects[model, source]

    def build_and_run(self, number, mutant):
        """Whether it was killed, and how."""
        model, _, file, old, new, *rest = mutant
        changed = (ROOT / file).read_text(encoding="utf-8")
        for before, after in [(old, new)] if isinstance(old, str) else zip(old, new, strict=True):
            if changed.count(before) != 1:
                raise Failed(f"the text '{before}' stands {changed.count(before)} times in {file}, and must stand there once")
            changed = changed.replace(before, after)
        folder = self.arguments.work / f"mutant_{number}"
        parts, small = self.parts_of(model)
        self.make_small(folder, small, file, changed)
        touched = ROOT / file
        objects = [self.untouched_object(model, source, flags, small) for source, flags in parts.items()
                   if touched.suffix == ".cpp" and source != touched]
        again = {ROOT / SRC / f"{name}.cpp": [] for name in (rest[0] if rest else [])}
        objects += [self.compile(folder, folder / file if source == touched else source, flags)
                    for source, flags in {**parts, **again}.items()
                    if touched.suffix != ".cpp" or source == touched or source in again]
        program = folder / "program"
        linked = subprocess.run([*self.arguments.compiler.split(), *self.arguments.flags.split(), *objects,
                                 self.arguments.library, "-lgtest", "-lgtest_main", "-pthread", "-o", program],
                                capture_output=True, text=True, check=False)
        if linked.returncode != 0:
            raise Failed("does not link:\n" + linked.stderr[:2000])
        run = subprocess.run([program, "--gtest_brief=1", "--gtest_fail_fast"], capture_output=True, text=True, check=False, timeout=400)
        output = run.stdout + run.stderr
        found = re.search(r"^([^\n]*)\nThe schedule \(number (\d+)\)", output, re.M)
        if run.returncode == 0 or not found:
            raise Failed(f"it lives (exit status {run.returncode})\n" + output[-2000:])
        schedule = re.search(r'\.replay = "([^"]*)"', output)[1]
        return f"schedule {found[2]}, {schedule}\n        {found[1]}"


def faults_of_pages(mutants):
    """What the pages say of the list: each name that stands there, and how many there are."""
    names = {f"{mutant[0]}: {mutant[1]}" for mutant in mutants}
    page = (ROOT / "docs/internals/models.md").read_text(encoding="utf-8")
    for name in re.findall(r"\*(\w+: [^*]+)\*", page):
        if name not in names:
            yield f"docs/internals/models.md: there is no mutant '{name}'"
    if f"in {len(mutants)} ways" not in (ROOT / "docs/testing.md").read_text(encoding="utf-8"):
        yield f"docs/testing.md: there are {len(mutants)} mutants"


def try_all(mutants):
    """The command. Exit status 0: all were killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--flags", default="-O1")
    parser.add_argument("names", nargs="*", help="models, or parts of titles; all if none is given")
    arguments = parser.parse_args()
    chosen = [(n, m) for n, m in enumerate(mutants) if not arguments.names or
              any(name == m[0] or name in m[1] for name in arguments.names)]
    survivors = 0
    for fault in faults_of_pages(mutants):
        print(f"FAILED  {fault}")
        survivors += 1
    tries = Tries(arguments)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(m, pool.submit(tries.build_and_run, n, m)) for n, m in chosen]
        for mutant, job in jobs:
            try:
                result, how = "killed", job.result()
            except Failed as why:
                result, how = "FAILED", why
                survivors += 1
            print(f"{result}  {mutant[0]}: {mutant[1]}: {how}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} faults" if survivors else f"{len(chosen)} mutants, all killed")
    sys.exit(1 if survivors else 0)
