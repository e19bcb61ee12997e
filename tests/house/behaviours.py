# SPDX-License-Identifier: Apache-2.0
"""Every numbered behaviour of the conformance list has a test whose name begins with its number: E7_CancelOnQueued..."""

import re

import tree

# Section: how many behaviours it has. E executors and futures, W wait, M map, S shutdown, L worker_local, P process_pool,
# I what stands between processes, C coroutines, Y channels and locks, X run and Ctrl-C.
SECTIONS = {"E": 23, "W": 11, "M": 10, "S": 12, "L": 5, "P": 27, "I": 13, "C": 30, "Y": 13, "X": 6}

CPP = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\(\s*\w+\s*,\s*([A-Z]\d+)_\w+\s*\)", re.M)
PYTHON = re.compile(r"^\s*def test_([A-Z]\d+)_\w+\(", re.M)

wanted = [f"{section}{n}" for section, last in SECTIONS.items() for n in range(1, last + 1)]
carried = {}
for path in tree.sources("tests", suffixes=(".cpp", ".py")):
    for number in (CPP if path.suffix == ".cpp" else PYTHON).findall(path.read_text()):
        carried.setdefault(number, set()).add(str(tree.relative(path)))

faults = [f"{number}: no test has a name that begins with {number}_" for number in wanted if number not in carried]
for number in sorted(set(carried) - set(wanted)):
    if number[0] in SECTIONS:
        faults.append(f"{number}: {', '.join(sorted(carried[number]))}: there is no such behaviour")
tree.finish(faults, f"{len(wanted)} behaviours")
