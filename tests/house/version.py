# SPDX-License-Identifier: Apache-2.0
"""project(VERSION) is the one place; every other one that states a version agrees. Argument: the command, if built."""

import re
import subprocess
import sys

import tree

version = re.search(r"project\(plait VERSION ([\d.]+)", (tree.ROOT / "CMakeLists.txt").read_text())[1]
# file, pattern: wherever the file exists, each match must be the version
PLACES = [
    ("include/plait/version.hpp", r'"(\d+\.\d+\.\d+)"'),
    ("conanfile.py", r'version = "([\d.]+)"'),
    ("vcpkg.json", r'"version(?:-semver)?": "([\d.]+)"'),
    ("debian/changelog", r"\Aplait \(([\d.]+)"),
    ("CITATION.cff", r"^version: ([\d.]+)"),
]
faults, checked = [], 1
for name, pattern in PLACES:
    path = tree.ROOT / name
    if path.exists():
        found = re.findall(pattern, path.read_text(), re.M)
        checked += 1
        if not found:
            faults.append(f"{name}: states no version")
        faults += [f"{name}: {one}, but project() says {version}" for one in found if one != version]

# The changelog's topmost release is this one or, while it is being worked on, older with an [Unreleased] part above.
changelog = (tree.ROOT / "CHANGELOG.md").read_text()
releases = re.findall(r"^## \[([^\]]+)\]", changelog, re.M)
checked += 1
if not releases or releases[0] not in ("Unreleased", version):
    faults.append(f"CHANGELOG.md: begins with {releases[:1]}, neither [Unreleased] nor [{version}]")

if len(sys.argv) > 1:
    said = subprocess.run([sys.argv[1], "--version"], capture_output=True, text=True, check=False)
    checked += 1
    if said.returncode != 0 or version not in said.stdout:
        faults.append(f"plait --version: exit {said.returncode}, says {said.stdout!r}, not {version}")
tree.finish(faults, f"{checked} places that state {version}")
