# SPDX-License-Identifier: Apache-2.0
"""extract.py OUT.cpp: every C++ example of the documents and of the public headers' comments, as one program.

In README.md and docs/**/*.md a fence that begins ```cpp is an example:

    with a main               a program: `OUT N` runs the N-th, `OUT` lists them; a ```text fence right behind it is
                              what it prints
    without                   statements of a coroutine; what they use and do not declare is in prelude.hpp (and there are strings `path` and `data`)
    <!-- example: scope -->   on the line above: declarations; its names are known to all that follows on the page
    <!-- example: build -->   a program that is compiled, not run
    <!-- example: file F -->  the text of the file F
    <!-- example: refused --> must not compile: tests/compile_fail proves it, here it is left out

In include/plait/*.hpp the indented lines of a /// comment are examples in the same way; declarations are told apart by
their look. Errors name the line of the document, by #line.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.S | re.M)
ABOVE = re.compile(r"<!-- example: ([^>]*?) -->\n$")
DECLARATION = re.compile(r"^(template|class|struct|int main|plait::worker_local|"
                         r"(plait::task<.*>|auto|void|std::size_t|std::string|int) \w+\([^;]*\)( const)? \{)")

faults = []
includes = []
parts = []   # of the translation unit
programs = []
page = None


def add_includes(text):
    """Takes the #includes out; they go to the top."""
    for line in re.findall(r"^#include [^\n]*\n", text, re.M):
        if line not in includes:
            includes.append(line)
    return re.sub(r"^#include [^\n]*$", "", text, flags=re.M)


def begin_page():
    """A namespace for each file: what its examples declare is known to all that follow there."""
    global page
    page = f"page_{len(parts)}"
    parts.append(f"namespace {page} {{ using namespace prelude;\n")


def add(where, line, text, kind):
    number = len(parts)
    text = add_includes(text)
    at = f'#line {line} "{where}"\n'
    if kind == "program":
        # Everything it needs is its own.
        text = re.sub(r"^int main\([^)]*\)", "int example_main([[maybe_unused]] int argc, [[maybe_unused]] char** argv)",
                      text, flags=re.M)
        # main may end without a return, others not.
        text = re.sub(r"^(int example_main\([^\n]*\) \{)(\n.*?^|[^\n]*)\}$", r"\1\2return 0; }", text, flags=re.M | re.S)
        parts.append(f"namespace program_{number} {{\n{at}{text}\n}}\n")
        return f"{page}::program_{number}::example_main"
    if kind == "scope":
        parts.append(f"{at}{text}\n")
    else:
        parts.append(f"[[maybe_unused]] static plait::task<> statements_{number}(std::string path, std::string data) {{\n{at}{text}\nco_return;\n}}\n")
    return None


def documents():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if not path.exists():
            continue
        text, name = path.read_text(), path.relative_to(ROOT)
        begin_page()
        fences = list(FENCE.finditer(text))
        for i, fence in enumerate(fences):
            if fence[1] != "cpp":
                continue
            line = text.count("\n", 0, fence.start(2)) + 1
            above = ABOVE.search(text, 0, fence.start())
            kind = above[1] if above else "program" if re.search(r"^int main\(", fence[2], re.M) else "statements"
            if kind.startswith("file "):
                file = (ROOT / kind[5:]).read_text()
                if fence[2] != file.removeprefix("// SPDX-License-Identifier: Apache-2.0\n"):
                    faults.append(f"{name}:{line}: differs from {kind[5:]}")
            elif kind in ("program", "build"):
                main = add(name, line, fence[2], "program")
                behind = fences[i + 1] if i + 1 < len(fences) else None
                output = behind[2] if behind and behind[1] == "text" and behind.start() - fence.end() < 3 else None
                if kind == "program":
                    programs.append((f"{name}:{line}", main, output))
            elif kind in ("scope", "statements"):
                add(name, line, fence[2], kind)
            elif kind != "refused":
                faults.append(f"{name}:{line}: no such kind of example: {kind}")
        parts.append("}\n")


def comment_examples(lines):
    """Runs of indented comment lines: (line number, text)."""
    block, begin = [], 0
    for number, line in enumerate([*lines, ""], 1):
        if re.match(r"\s*///     \S", line) or (block and re.match(r"\s*///     ", line)):
            if not block:
                begin = number
            block.append(re.sub(r"^\s*///     ", "", line))
        elif block and line.strip() == "///":
            block.append("")
        elif block:
            yield begin, "\n".join(block) + "\n"
            block = []


def headers():
    for path in sorted((ROOT / "include/plait").glob("*.hpp")):
        name = path.relative_to(ROOT)
        begin_page()
        for line, text in comment_examples(path.read_text().splitlines()):
            if re.match(r"(plait: |/)", text) or "\nplait: " in text:
                continue  # what a program prints
            text = re.sub(r"\nplait: .*", "\n", text, flags=re.S)
            if re.search(r"^int main\(", text, re.M):
                add(name, line, text, "program")
            else:
                add(name, line, text, "scope" if DECLARATION.match(text) else "statements")
        parts.append("}\n")


def main():
    documents()
    headers()
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(1)
    table = "".join(f'    {{"{where}", &{main}, {"nullptr" if output is None else cpp_text(output)}}},\n'
                    for where, main, output in programs)
    pathlib.Path(sys.argv[1]).write_text(
        '#include "prelude.hpp"\n' + "".join(includes) + "".join(parts) + '#line 1 "examples"\n#include "driver.hpp"\n'
        "const driver::program driver::programs[] = {\n" + table + "    {},\n};\n")


def cpp_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


main()
