# SPDX-License-Identifier: Apache-2.0
"""Every link inside the tree's Markdown leads to a file, and to a heading in it."""

import re

import tree

LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(\s*<?([^)\s>]+)[^)]*\)|(?:href|src|srcset)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)", re.M)


def without_code(text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path):
    """As GitHub makes them from headings: lower case, no punctuation, spaces to dashes."""
    found = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M), re.M):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        while anchor in found:
            anchor += "-1"
        found.add(anchor)
    return found


faults, checked = [], 0
folders = [path for path in tree.ROOT.iterdir() if path.is_dir() and path.name not in ("build", ".git", ".cache")]
pages = sorted(tree.ROOT.glob("*.md")) + [page for folder in sorted(folders) for page in sorted(folder.rglob("*.md"))]
for page in pages:
    for groups in LINK.findall(without_code(page.read_text())):
        target = next(group for group in groups if group)
        if re.match(r"[a-z]+:", target):
            continue
        checked += 1
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists():
            faults.append(f"{tree.relative(page)}: {target}: no such file")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            faults.append(f"{tree.relative(page)}: {target}: no such heading")
tree.finish(faults, f"{checked} links in {len(pages)} pages")
