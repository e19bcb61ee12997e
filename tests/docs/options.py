# SPDX-License-Identifier: Apache-2.0
"""options.py PLAIT: the manual and the guide name the options that `plait fetch --help` does, no more and no fewer, and the
same exit statuses."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def options_of(text):
    return set(OPTION.findall(text))


help_text = subprocess.run([sys.argv[1], "fetch", "--help"], capture_output=True, text=True, check=True).stdout
told = options_of("\n".join(line[:30] for line in help_text.split("Examples:")[0].splitlines() if re.match(r"\s+-", line)))
manual = (ROOT / "docs/man/plait-fetch.1.scd").read_text()
guide = (ROOT / "docs/fetch.md").read_text()
places = {
    "docs/man/plait-fetch.1.scd": options_of("\n".join(re.findall(r"^\*(-[^*]*)\*", manual, re.M))),
    "docs/fetch.md": options_of("\n".join(re.findall(r"^\| (`-[^|]*) \|", guide.replace(r"\|", "/"), re.M))) | {"-h", "--help"},
}
failed = len(told) < 20
print(f"{len(told)} options in the help")
for place, named in places.items():
    for option in sorted(told - named):
        failed = True
        print(f"{place}: does not name {option}")
    for option in sorted(named - told):
        failed = True
        print(f"{place}: names {option}, which the help does not")
    text = (ROOT / place).read_text()
    for status in ("0", "1", "2", "3", "130"):
        if not re.search(rf"(\*{status}\*|^\| {status} \|)", text, re.M):
            failed = True
            print(f"{place}: does not name exit status {status}")
sys.exit(failed)
