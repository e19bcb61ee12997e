# SPDX-License-Identifier: Apache-2.0
"""What the checks of the tree share: where files are, and what they include."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources(*folders, suffixes=(".hpp", ".cpp")):
    """Every source below the folders, sorted."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def includes(path):
    """What a file includes: (line, name, own), where own is a file of this tree or None."""
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        name = match[2]
        own = next((base / name for base in (ROOT / "include", ROOT / "src", path.parent) if (base / name).is_file()), None)
        yield text.count("\n", 0, match.start(2)) + 1, name, own


def code_lines(path):
    """Numbered lines without comments and string contents."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        yield number, re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])


def relative(path):
    return path.resolve().relative_to(ROOT)


def finish(faults, checked):
    """Prints the faults and ends: 1 if there are any."""
    for fault in faults:
        print(fault)
    print(f"{checked}: {len(faults)} faults" if faults else f"{checked}: well")
    sys.exit(1 if faults else 0)
