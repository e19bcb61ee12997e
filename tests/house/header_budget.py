# SPDX-License-Identifier: Apache-2.0
"""A public header's compile time, relative to <vector> in the same run. Arguments: the compiler and its flags.

The minimum of two runs counts: noise only ever adds. What is over its budget then is measured again, each time right
beside a <vector> of its own, and fails if three quarters of those pairs are over: on a machine whose speed drifts the two
minima come from different moments.
"""

import os
import sys
import tempfile

import tree

ROUNDS, PAIRS = 2, 12

factor, kind_of = {}, {}
for line in (tree.ROOT / "tests/house/header_budget.txt").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        kind, multiple, *names = line.split()
        factor[kind] = float(multiple)
        kind_of |= {name: kind for name in names}


def seconds(include, folder):
    """User and system time of one compilation."""
    source = os.path.join(folder, "one.cpp")
    with open(source, "w", encoding="ascii") as file:
        file.write(f"#include <{include}>\n")
    command = [*sys.argv[1:], "-std=c++20", "-O0", f"-I{tree.ROOT}/include", "-c", source, "-o", "/dev/null"]
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"{include}: does not compile alone")
    return usage.ru_utime + usage.ru_stime


headers = {}
for path in tree.sources("include", suffixes=(".hpp",)):
    name = str(path.relative_to(tree.ROOT / "include"))
    kind = kind_of.get(path.stem, "header")
    if "/detail/" not in name and factor[kind] > 0:
        headers[name] = factor[kind]

with tempfile.TemporaryDirectory() as folder:
    os.environ["TMPDIR"] = folder
    seconds("vector", folder)  # the first one reads the compiler from the disk
    best = {"vector": seconds("vector", folder)}
    for _ in range(ROUNDS):
        best["vector"] = min(best["vector"], seconds("vector", folder))
        for name in headers:
            best[name] = min(best.get(name, 1e9), seconds(name, folder))
    ratios = {name: best[name] / best["vector"] for name in headers}
    for name, most in headers.items():
        if ratios[name] > most:
            pairs = sorted(seconds(name, folder) / seconds("vector", folder) for _ in range(PAIRS))
            ratios[name] = pairs[PAIRS // 4]

faults = []
print(f"<vector> {best['vector']:.3f} s")
for name, most in headers.items():
    ratio = ratios[name]
    print(f"{name}: {ratio:.2f} (at most {most:g})")
    if ratio > most:
        faults.append(f"{name}: costs {ratio:.2f} times <vector>, at most {most:g}")
tree.finish(faults, f"compile time of {len(headers)} headers")
