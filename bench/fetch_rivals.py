# SPDX-License-Identifier: Apache-2.0
# rows: small files, small files of wrk, small files of aiohttp, small files CPU, small files CPU of rivals
# rows: small files to disk, small files to disk of aria2c, memory of 100000 URLs
"""100,000 files of 1 KiB from nginx with one worker: plait fetch beside wrk, curl -Z, wget2, aiohttp and aria2c.

Rounds are interleaved and the median counts. Each client's requests are counted by nginx, so none is believed blindly.
aiohttp and aria2c are given a fifth of the list (they are slow, and fewer URLs suit them better), to the disk all are
given a quarter of that; rates stay comparable.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/cli"))
from nginx import free_ports                        # noqa: E402: the tests' own helper

CONFIGURATION = """
{user}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; default_type application/octet-stream; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; open_file_cache max=100; open_file_cache_valid 300s;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {folder};
    location /f/ {{ rewrite ^ /one.bin break; }}
    location = /served {{ stub_status; }}
  }}
}}
"""

AIOHTTP = """
import asyncio, sys, aiohttp
async def work(session, urls):
    for url in urls:
        async with session.get(url) as answer:
            assert len(await answer.read()) == 1024
async def main():
    urls = iter(open(sys.argv[1]).read().split())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
        await asyncio.gather(*(work(session, urls) for _ in range(32)))
asyncio.run(main())
"""

# The clients that a row wanted alone needs.
NEEDED = {
    "small files": {"plait", "curl -Z", "wget2"},
    "small files of wrk": {"plait", "wrk"},
    "small files of aiohttp": {"plait", "aiohttp"},
    "small files CPU": {"plait", "bare"},
    "small files CPU of rivals": {"plait", "curl -Z", "wget2", "aiohttp"},
    "memory of 100000 URLs": {"plait"},
}


class Server:
    """One URL each for as many files as are wanted; behind them stands the same 1 KiB."""

    def __init__(self, folder):
        self.folder = folder
        self.port, = free_ports(1)
        (folder / "one.bin").write_bytes(b"0123456789abcdef" * 64)
        user = "user root; " if os.getuid() == 0 else ""
        (folder / "conf").write_text(CONFIGURATION.format(user=user, folder=folder, port=self.port))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([program, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                self.served()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise RuntimeError("nginx did not start: " + (folder / "error.log").read_text())

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def served(self):
        """Requests that nginx has answered so far, these questions included."""
        with urllib.request.urlopen(self.url("/served"), timeout=5) as answer:
            return int(re.search(r"(\d+)\s+Reading", answer.read().decode()).group(1))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def resident_peak(pid):
    """VmHWM in KB; 0 once it has ended."""
    try:
        found = re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


class Bench:
    def __init__(self, server, folder, plait, count):
        self.server, self.folder, self.plait, self.count = server, folder, plait, count
        self.lists = {}
        for number in (count, count // 4, count // 5, count // 20):
            path = folder / f"urls-{number}"
            path.write_text("".join(server.url(f"/f/{i}.bin\n") for i in range(number)))
            self.lists[number] = path
        (folder / "rival.py").write_text(AIOHTTP)
        self.python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable

    def run(self, name, command, count, expect=0):
        """Requests a second, CPU microseconds a request and peak MB of one run; None where the program is missing."""
        if shutil.which(str(command[0])) is None:
            return None
        os.sync()                                   # or it pays for what the one before has written
        before = self.server.served()
        errors = self.folder / "errors"
        peak = 0
        with open(errors, "wb") as told:
            start = time.monotonic()
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=told, cwd=self.folder)
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                # Not ru_maxrss: that begins with what this interpreter had when it forked.
                peak = max(peak, resident_peak(process.pid))
                time.sleep(0.02)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        served = self.server.served() - before - 1
        if process.returncode != expect or served < count:
            raise RuntimeError(f"{name}: exit {process.returncode}, {served} of {count} served\n{errors.read_text()[-2000:]}")
        return count / seconds, (usage.ru_utime + usage.ru_stime) / count * 1e6, peak / 1024

    def wrk(self):
        """wrk counts for itself: its rate over three seconds."""
        if shutil.which("wrk") is None:
            return None
        os.sync()
        told = subprocess.run(["wrk", "-t1", "-c32", "-d3s", self.server.url("/f/1.bin")], capture_output=True, text=True)
        return float(re.search(r"Requests/sec:\s*([\d.]+)", told.stdout).group(1)), 0, 0

    def discarding(self):
        few, many = self.count // 5, self.count
        glob = self.server.url(f"/f/[1-{many}].bin")
        return {
            "plait": lambda: self.run("plait", [self.plait, "fetch", "--discard", "-x", "loop", "-c", "32", "--per-host",
                                                "0", "-q", "-i", self.lists[many]], many),
            "wrk": self.wrk,
            "curl -Z": lambda: self.run("curl", ["curl", "-sS", "-Z", "--parallel-max", "32", "-o", "/dev/null", glob], many),
            "wget2": lambda: self.run("wget2", ["wget2", "-q", "--max-threads=32", "-O", "/dev/null", "-i",
                                                self.lists[many]], many),
            "aiohttp": lambda: self.run("aiohttp", [self.python, self.folder / "rival.py", self.lists[few]], few),
        }

    def to_disk(self):
        few, many = self.count // 20, self.count // 4
        glob = self.server.url(f"/f/[1-{many}].bin")
        disk = self.folder / "disk"
        used = itertools.count()

        def fresh(name, command, count):
            # A full directory is moved out of the way: to delete it costs more than to fill it, and the file
            # system is still at that when the next client begins.
            if disk.exists():
                disk.rename(self.folder / f"disk-{next(used)}")
            disk.mkdir()
            got = self.run(name, command, count)
            if got and sum(1 for _ in os.scandir(disk)) < count:
                raise RuntimeError(f"{name}: {sum(1 for _ in os.scandir(disk))} files of {count}")
            return got

        return {
            "plait": lambda: fresh("plait", [self.plait, "fetch", "-d", disk, "-x", "loop", "-c", "32", "--per-host", "0",
                                             "-q", "-i", self.lists[many]], many),
            "curl -Z": lambda: fresh("curl", ["curl", "-sS", "-Z", "--parallel-max", "32", "-o", disk / "#1.bin", glob], many),
            "wget2": lambda: fresh("wget2", ["wget2", "-q", "--max-threads=32", "-P", disk, "-nd", "-i",
                                             self.lists[many]], many),
            "aria2c": lambda: fresh("aria2c", ["aria2c", "-q", "-d", disk, "-j", "32", "-i", self.lists[few]], few),
        }


def medians(clients, rounds):
    """Interleaved rounds: every client once a round; the median of each of the three numbers."""
    results = {name: [] for name in clients}
    for turn in range(rounds):
        for name, client in clients.items():
            got = client()
            if got:
                results[name].append(got)
                print(f"round {turn + 1}: {name} {got[0]:,.0f}/s, {got[1]:.0f} us CPU, {got[2]:.0f} MB", file=sys.stderr,
                      flush=True)
    return {name: tuple(statistics.median(column) for column in zip(*runs)) if runs else None
            for name, runs in results.items()}


def emit(row, unit, plait, peers, better, reach):
    only = os.environ.get("PLAIT_BENCH_ROW")
    if only in (None, "", row):
        print(json.dumps({"row": row, "unit": unit, "plait": plait, "peers": peers, "better": better, "reach": reach}),
              flush=True)


def rate(result):
    return result[0] if result else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build/bench")
    arguments.add_argument("--count", type=int, default=100000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    plait = options.build.resolve() / "plait"
    bare = options.build.resolve() / "bench/bare_multi_socket"
    only = os.environ.get("PLAIT_BENCH_ROW", "")
    if not os.access(plait, os.X_OK):
        sys.exit(f"no {plait}: build it first")
    with tempfile.TemporaryDirectory(prefix="plait-bench-") as name:
        folder = pathlib.Path(name)
        server = Server(folder)
        try:
            bench = Bench(server, folder, plait, options.count)
            if "disk" not in only:
                clients = bench.discarding()
                if os.access(bare, os.X_OK):
                    clients["bare"] = lambda: bench.run("bare", [bare, "32", bench.lists[options.count]], options.count)
                needed = NEEDED.get(only, clients)
                got = medians({name: client for name, client in clients.items() if name in needed}, options.rounds)
                got = {name: got.get(name) for name in [*clients, "bare"]}
                ours = got["plait"]
                emit("small files", "requests/s", ours[0], {peer: rate(got[peer]) for peer in ("curl -Z", "wget2")},
                     "higher", 2)
                emit("small files of wrk", "requests/s", ours[0], {"wrk": rate(got["wrk"])}, "higher", 0.5)
                emit("small files of aiohttp", "requests/s", ours[0], {"aiohttp": rate(got["aiohttp"])}, "higher", 6)
                emit("small files CPU", "us a request", ours[1],
                     {"bare multi_socket": got["bare"][1] if got["bare"] else None}, "lower", 1 / 1.1)
                emit("small files CPU of rivals", "us a request", ours[1],
                     {peer: got[peer][1] if got[peer] else None for peer in ("curl -Z", "wget2", "aiohttp")}, "lower", 1)
                emit("memory of 100000 URLs", "MB", ours[2], {"the limit": 64}, "lower", 1)
            if not only or "disk" in only:
                got = medians(bench.to_disk(), options.rounds)
                emit("small files to disk", "files/s", got["plait"][0],
                     {peer: rate(got[peer]) for peer in ("curl -Z", "wget2")}, "higher", 1.5)
                emit("small files to disk of aria2c", "files/s", got["plait"][0], {"aria2c": rate(got["aria2c"])},
                     "higher", 5)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
