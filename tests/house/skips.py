# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite leaves out, for which executor and why: prints all of it, read from the tests.

A skip must have the form that tests/conformance/reasons.hpp shows, so that none is missing here.
"""

import collections
import re

import tree

CONFORMANCE = tree.ROOT / "tests" / "conformance"
REASONS = (CONFORMANCE / "reasons.hpp").read_text()

executors = re.findall(r"name_of<(?:plait::)?(\w+)> = \"\w+\"", REASONS)
reasons = {name: "".join(re.findall(r'"((?:\\.|[^"\\])*)"', text))
           for name, text in re.findall(r'inline constexpr const char\* (\w+) =((?:\s*"(?:\\.|[^"\\])*")+);',
                                    REASONS.split("namespace because")[1])}
groups = {}
for name, negated, members in re.findall(r"^concept (\w+) = (!?)one_of<E, ([^>]+)>;", REASONS, re.M):
    named = set(re.findall(r"(\w+)(?:,|$)", members))
    groups[name] = set(executors) - named if negated else named

BEGIN = re.compile(r"^(?:TYPED_)?TEST(?:_F)?\((\w+), (\w+)\)|^class (\w+) : public", re.M)
SUITE = re.compile(r"^TYPED_TEST_SUITE\((\w+), (\w+)", re.M)
SKIP = re.compile(r"(else )?if constexpr \((!?)(\w+)<(?:TypeParam|E)>\)\s*\{?\s*skip_for<(?:TypeParam|E)>\(because::(\w+)\);")
PART = re.compile(r"if constexpr \((!?)(\w+)<(?:TypeParam|E)>\)[ {]*(?://(?: else: (\w+)| (in another way)))?[ {]*\n")
IN_PROCESS = "support/strands.hpp"      # such a suite runs over the executors of this process only

faults, table, used = [], collections.defaultdict(list), set()
for path in tree.sources("tests/conformance", suffixes=(".cpp",)):
    name, text = tree.relative(path), path.read_text()
    over = groups["in_process"] if IN_PROCESS in text else set(executors)
    read = 0
    begins = list(BEGIN.finditer(text))
    for begin, end in zip(begins, begins[1:] + [None]):
        what = begin[2] or f"all of {begin[3]}"
        body = text[begin.start():end.start() if end else len(text)]
        for negated, group, reason, same in PART.findall(SKIP.sub("", body)):
            if reason not in reasons and not same:
                faults.append(f"{name}: {what}: a part is left out, and no `// else: REASON` says why")
            elif reason:
                present = over - groups[group] if negated else over & groups[group]
                used.add(reason)
                table[reason].append((what + ", in part", sorted(over - present, key=executors.index)))
        left = set(over)
        for chained, negated, group, reason in SKIP.findall(body):
            read += 1
            if group not in groups or reason not in reasons:
                faults.append(f"{name}: {what}: {group} or {reason} is not in reasons.hpp")
                continue
            if not chained:
                left = set(over)
            skipped = left - groups[group] if negated else left & groups[group]
            left -= skipped
            used.add(reason)
            table[reason].append((what, sorted(skipped, key=executors.index)))
    if read != text.count("skip_for<") or "GTEST_SKIP" in text:
        faults.append(f"{name}: a skip that has not the form in reasons.hpp")
faults += [f"tests/conformance/reasons.hpp: nothing is skipped because::{r}" for r in reasons if r not in used]

for reason, skips in table.items():
    print(f"{reasons[reason]}:")
    for what, which in skips:
        print(f"    {what}: {', '.join(which)}")
tree.finish(faults, f"{sum(map(len, table.values()))} skips")
