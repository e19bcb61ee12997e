# SPDX-License-Identifier: Apache-2.0
"""Public headers: few of our own pulled in, no expensive standard header, nobody else's types."""

import re

import tree

# Public ones: what a reader has to know. The insides (detail/) are cut small on purpose and have a bound of their own.
MOST_PULLED, LONGEST_CHAIN, MOST_INSIDES = 12, 6, 33
UMBRELLAS = {"plait/plait.hpp"}
# What costs more than <vector> alone: use plait/detail/atomic.hpp, detail/chrono.hpp, or a .cpp file.
EXPENSIVE = {"algorithm", "atomic", "chrono", "condition_variable", "filesystem", "format", "fstream", "functional",
             "future", "iostream", "istream", "map", "memory", "mutex", "ostream", "random", "ranges", "regex",
             "shared_mutex", "sstream", "stop_token", "syncstream", "system_error", "thread", "unordered_map"}
FOREIGN_INCLUDE = re.compile(r"^(curl|cereal|fmt|nlohmann|CLI|spdlog|liburing|sqlite3|tiff|zydis)\b", re.I)
FOREIGN_NAME = re.compile(r"\b(CURL\w*|curl_\w+|cereal|fmt|nlohmann|CLI|spdlog)\s*(::|\*|\b_)|\bCURLM?\b")
MACRO = re.compile(r"^\s*#\s*define\s+(\w+)")
ALLOWED_MACROS = re.compile(r"PLAIT_VERSION\w*|PLAIT_SENDABLE")
# The serialiser is cereal, and whoever includes it has asked for that.
SERIALISER = {"plait/serialize.hpp", "plait/detail/sendable.hpp", "plait/detail/archive.hpp"}
# They stand in the place of <atomic>, <mutex>, ... in tests.
FOR_TESTS = {"plait/testing.hpp", "plait/testing_explore.hpp", "plait/testing_faults.hpp", "plait/testing_run.hpp"}
# They exist to include these where the library's cheap part is not known.
SHIMS = {"plait/detail/atomic.hpp", "plait/detail/chrono.hpp", "plait/detail/operations.hpp",
         "plait/detail/ranges.hpp"}
CORE_ROOMS = ("sys", "base", "result", "coro", "strand")


def own_of(path):
    return [own for _, _, own in tree.includes(path) if own]


def is_public(path):
    return path.parent.name == "plait"


def pulled(path):
    """How many public headers and how many insides one drags in, and the longest chain of public ones."""
    longest = {}

    def visit(one, above):
        if one in above:
            return 0
        if one not in longest:
            longest[one] = is_public(one) + max((visit(o, above | {one}) for o in own_of(one)), default=0)
        return longest[one]

    chain = visit(path, frozenset())
    public = sum(is_public(one) for one in longest) - 1
    return public, len(longest) - 1 - public, chain


faults = []
for path in tree.sources("include", suffixes=(".hpp",)):
    name = str(path.relative_to(tree.ROOT / "include"))
    public = "/detail/" not in name
    count, insides, chain = pulled(path)
    if public:
        print(f"{name}: pulls in {count} public headers, {insides} insides; chain {chain}")
    if public and name not in UMBRELLAS and (count > MOST_PULLED or chain > LONGEST_CHAIN or insides > MOST_INSIDES):
        faults.append(f"{name}: pulls in {count} public headers (at most {MOST_PULLED}), {insides} insides "
                      f"(at most {MOST_INSIDES}), chain of {chain} (at most {LONGEST_CHAIN})")
    if name in SERIALISER | FOR_TESTS:
        continue
    for number, included, own in tree.includes(path):
        if included in EXPENSIVE and name not in SHIMS:
            faults.append(f"{name}:{number}: <{included}> is too expensive for a public header")
        elif FOREIGN_INCLUDE.match(included) and not own:
            faults.append(f"{name}:{number}: <{included}> belongs in a .cpp file")
    for number, line in tree.code_lines(path):
        if FOREIGN_NAME.search(line):
            faults.append(f"{name}:{number}: a public header names somebody else's type: {line.strip()}")
        macro = MACRO.match(line)
        if macro and not ALLOWED_MACROS.fullmatch(macro[1]) and f"#undef {macro[1]}" not in path.read_text():
            faults.append(f"{name}:{number}: no macro in the public face: {macro[1]}")

for room in CORE_ROOMS:
    for path in tree.sources(f"src/{room}"):
        for number, included, own in tree.includes(path):
            if FOREIGN_INCLUDE.match(included) and not own:
                faults.append(f"{tree.relative(path)}:{number}: core needs threads and nothing else, not <{included}>")
tree.finish(faults, "public headers")
