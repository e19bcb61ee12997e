# SPDX-License-Identifier: Apache-2.0
"""Runs the benches and collects their rows: build/bench.md, build/bench.json and a table on stdout.

    python3 bench/report.py [BUILD [ROW]]           # BUILD: build/bench by default; ROW: small files, small-files, ...

A bench is a program below BUILD/bench (made from bench/NAME.cpp) or bench/NAME.py. It prints a JSON object per row:
    {"row": "gather", "unit": "ns", "plait": 77, "peers": {"asyncio": 8500}, "better": "lower", "reach": 80}
A peer that is not there is null. `reach` is the ratio to the best peer that we want; above 1 plait is the better one.
`// rows: a, b` (or `# rows: ...`) in the source says which rows a bench has, so that ROW finds it by its name too; the
one row wanted is then in PLAIT_BENCH_ROW. Rows of earlier runs that were not measured again are kept.

Rows called `growth: ...` are the cost as the work grows: no reach, and a table of their own. ROW=growth measures all of them.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def plain(name):
    """small files, small-files and small_files are the same to `make bench ROW=`; growth: sum and growth-sum, too."""
    return re.sub(r"[-_: ]+", " ", name.strip().lower())


def benches(build):
    """(name, command, rows) of every bench there is."""
    found = []
    for source in sorted([*HERE.glob("*.cpp"), *HERE.glob("*.py")]):
        if source.name == "report.py":
            continue
        text = source.read_text()
        if "\n// not a bench" in text:
            continue
        lines = re.findall(r"^(?://|#) rows: *(.*)$", text, re.MULTILINE)
        rows = [row.strip() for line in lines for row in line.split(",")]
        if source.suffix == ".py":
            if not lines:
                continue                            # a module of another bench
            command = [sys.executable, str(source), "--build", str(build)]
        else:
            command = [str(build / "bench" / source.stem)]
        found.append((source.stem, command, rows))
    return found


def run(name, command, row):
    """The rows that a bench printed; other lines pass through."""
    if not os.access(command[0], os.X_OK):
        print(f"bench: {name} is not built", file=sys.stderr)
        return [], False
    environment = dict(os.environ)
    if row:
        environment["PLAIT_BENCH_ROW"] = row
    print(f"== {name}", file=sys.stderr, flush=True)
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if line.startswith("{"):
                rows.append(judged(json.loads(line)))
            else:
                sys.stderr.write(line)
    if process.returncode != 0:
        print(f"bench: {name} ended with {process.returncode}", file=sys.stderr)
    return rows, process.returncode == 0


def judged(row):
    """The row with best_peer, ratio and met; ratio above 1 means that plait is better, whatever the unit."""
    lower = row.get("better", "lower") == "lower"
    peers = {name: value for name, value in row.get("peers", {}).items() if value}
    ratio = best = None
    if peers and row["plait"]:
        best = (min if lower else max)(peers, key=peers.get)
        ratio = peers[best] / row["plait"] if lower else row["plait"] / peers[best]
    reach = row.get("reach")
    return {"row": row["row"], "unit": row["unit"], "plait": row["plait"], "peers": row.get("peers", {}),
            "best_peer": best, "ratio": ratio, "reach": reach,
            "met": None if ratio is None or reach is None else ratio >= reach}


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows):
    """Of rows with a reach or, where none has one, without its columns."""
    head = ["row", "unit", "plait", "peers", "ratio to the best", "reach", "met"]
    if all(row["reach"] is None for row in rows):
        head = head[:-2]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        peers = ", ".join(f"{name} {number(value)}" for name, value in row["peers"].items())
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f} × {row['best_peer']}"
        met = {True: "yes", False: "**no**", None: "not measured"}[row["met"]]
        cells = [row["row"], row["unit"], number(row["plait"]), peers, ratio, number(row["reach"]), met]
        lines.append(cells[:len(head)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("| " + " | ".join(cell.ljust(width) if cell != "---" else "-" * width
                                       for cell, width in zip(line, widths)) + " |" for line in lines)


def tables(rows):
    """All rows, those of growth in a table of their own."""
    grown = [row for row in rows if row["row"].startswith("growth: ")]
    others = [row for row in rows if row not in grown]
    parts = [table(others)] if others else []
    if grown:
        parts += ["## As the work grows", table(grown)]
    return "\n\n".join(parts)


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Linux {platform.release()}, load {load:.1f}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=pathlib.Path, help="where bench.md and bench.json go: beside BUILD")
    arguments.add_argument("--list", action="store_true", help="name the benches and their rows")
    arguments.add_argument("build", nargs="?", type=pathlib.Path, default=HERE.parent / "build/bench")
    arguments.add_argument("row", nargs="*", help="only this one: a bench's name or a row's")
    options = arguments.parse_args()
    options.out = options.out or options.build.resolve().parent
    known = benches(options.build.resolve())
    if options.list:
        for name, _, rows in known:
            print(f"{name}: {', '.join(rows) or name}")
        return 0
    wanted = plain(" ".join(options.row))
    chosen = []
    for name, command, rows in known:
        if wanted in ("", plain(name)):
            chosen.append((name, command, None))
        else:
            chosen += [(name, command, row) for row in rows if plain(row) == wanted]
    if not chosen:
        print(f"bench: no row or bench called {wanted}; there are:", file=sys.stderr)
        for name, _, rows in known:
            print(f"  {name}: {', '.join(rows) or name}", file=sys.stderr)
        return 2

    file = options.out / "bench.json"
    collected = {}
    if wanted and file.exists():
        collected = {row["row"]: row for row in json.loads(file.read_text())["rows"]}
    good = True
    for name, command, row in chosen:
        rows, ended_well = run(name, command, row)
        good = good and ended_well
        collected.update({each["row"]: each for each in rows})
    rows = list(collected.values())
    options.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n")
    text = tables(rows)
    (options.out / "bench.md").write_text(f"# Benches\n\n{machine()}. Peers were measured in the same run; only ratios "
                                          f"count.\n\n{text}\n")
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
