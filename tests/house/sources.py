# SPDX-License-Identifier: Apache-2.0
"""What every source keeps to: its length, its licence line, one include guard, and tests that do not sleep."""

import re

import tree

LONGEST, LONGEST_TEST = 400, 500
SLEEP = re.compile(r"this_thread\s*::\s*sleep_(for|until)|\b(u|nano)sleep\s*\(|(?<![\w.>])::sleep\s*\(")
VIRTUAL = re.compile(r"^// virtual time: ", re.M) # said where a test sleeps on a clock that only jumps
# GCC 12 compiles `if (co_await x) co_return y;` and `a ? b : co_await c` wrongly (docs/pitfalls.md): a name comes first.
AWAIT_IN_CONDITION = re.compile(r"\b(if|while|switch) (?:constexpr )?\((?![^;{}]*[\w>&*] \w+ = co_await)[^;{}]*co_await[^;{}]*\) *(\{|$|co_return)|"
                                r"\?[^;?]*co_await")

faults, checked = [], 0
for path in tree.sources("include", "src", "apps", "tests", "bench", "examples"):
    checked += 1
    name, text = tree.relative(path), path.read_text()
    lines = text.splitlines()
    most = LONGEST_TEST if name.parts[0] == "tests" else LONGEST
    if len(lines) > most:
        faults.append(f"{name}: {len(lines)} lines, at most {most}: split it by idea")
    if not lines or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
        faults.append(f"{name}:1: the first line is the SPDX line")
    if path.suffix == ".hpp" and "#pragma once" not in lines[:40]:
        faults.append(f"{name}: no #pragma once")
    for number, line in tree.code_lines(path):
        if AWAIT_IN_CONDITION.search(line):
            faults.append(f"{name}:{number}: GCC 12 miscompiles co_await in a condition: give the value a name first")
    if name.parts[0] == "tests":
        for number, line in tree.code_lines(path):
            if SLEEP.search(line) and not VIRTUAL.search(text):
                faults.append(f"{name}:{number}: tests do not sleep: wait for what happens")
tree.finish(faults, f"{checked} sources")
