# SPDX-License-Identifier: Apache-2.0
"""The explorer sees: each mutant below is one of plait's own primitives with a bug in it, and its model must fail.

mutants.py --compiler C++ --library libplait_model.a --work FOLDER [--flags FLAGS] [NAME...]

A mutant is a text of a shipped source and what stands in its place; if the text is not there exactly once, that is a failure too,
so that the list keeps up with the source. It is compiled with the model's own test and must be killed by it: with a schedule,
which is printed. Exit status 0: all were killed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests/model"
INCLUDE, SRC = "include/plait/", "src/"
DEQUE, WORD, RING, CORE = (INCLUDE + "detail/" + name + ".hpp" for name in ("deque", "future_word", "channel_ring", "channel_core"))
LOCK, CONTEXT = INCLUDE + "detail/spin_lock.hpp", INCLUDE + "detail/context.hpp"
INBOX, PLACE, SLOT = SRC + "base/inbox.hpp", SRC + "base/parking_place.cpp", SRC + "process/slot_state.hpp"
BYTES = SRC + "process/byte_ring.hpp"
LANE, LANES = SRC + "strand/post_lane.hpp", SRC + "strand/post_lane.cpp"
POOL, SEARCH = SRC + "strand/pool_engine.cpp", SRC + "strand/pool_search.cpp"
ENGINE, SCOPE = SRC + "strand/engine.cpp", SRC + "base/context.cpp"
JOIN, FORK, STRAND = SRC + "coro/join.cpp", SRC + "coro/fork.cpp", SRC + "strand/graph_strand.cpp"
GRAPH_STOP = SRC + "strand/graph_stop.cpp"
FUTURES = ["result/state", "result/future", "result/arrivals"]

# model, what is wrong, file, text, what it becomes, [sources of the library to be compiled again]
MUTANTS = [
    ("deque", "pop lowers bottom without order", DEQUE, "bottom_.store(bottom, order::seq_cst);",
     "bottom_.store(bottom, order::relaxed);"),
    ("deque", "push publishes without release", DEQUE, "bottom_.store(bottom + 1, order::release);\n            Policy",
     "bottom_.store(bottom + 1, order::relaxed);\n            Policy"),
    ("deque", "push looks for sleepers without order, and they do not pay", DEQUE, "bottom_.store(bottom + 1, order::seq_cst);",
     "bottom_.store(bottom + 1, order::release);"),
    ("deque", "the first push is not seen by who looks whether there was any", DEQUE, "ring_.exchange(more, order::seq_cst);",
     "ring_.store(more, order::release);"),
    ("deque", "what pop leaves behind is not published", DEQUE, "bottom_.store(bottom + 1, order::release);\n        return taken;",
     "bottom_.store(bottom + 1, order::relaxed);\n        return taken;"),
    ("deque", "the ring comes round over what is not stolen yet", DEQUE, "limit_ = top + r->mask + 1;", "limit_ = bottom + r->mask + 1;"),
    ("deque", "pop takes the last item without an exchange", DEQUE,
     "top == bottom && top_.compare_exchange(top, top + 1, order::seq_cst, order::relaxed);", "top == bottom;"),
    ("deque", "pop does not restore bottom", DEQUE, "bottom_.store(bottom + 1, order::release);\n        return taken;",
     "return taken;"),
    ("deque", "push publishes before the item is there", DEQUE,
     "ring_.load(order::relaxed)->slot(bottom).store(&item, order::relaxed);\n",
     "bottom_.store(bottom + 1, order::release);\n        ring_.load(order::relaxed)->slot(bottom).store(&item, order::relaxed);\n"),
    ("deque", "steal takes whatever the exchange says", DEQUE,
     "if (!still() || !top_.compare_exchange(top, top + 1, order::seq_cst, order::relaxed)) return nullptr;",
     "static_cast<void>(still());\n        top_.compare_exchange(top, top + 1, order::seq_cst, order::relaxed);"),
    ("deque", "empty() looks without order", DEQUE, "return top_.load(order::seq_cst) >= bottom_.load(order::seq_cst);",
     "return top_.load(order::relaxed) >= bottom_.load(order::relaxed);"),
    ("deque", "popping by address takes whatever is on top", DEQUE, "slot(bottom).load(order::relaxed) != &item) return false;",
     "slot(bottom).load(order::relaxed) == nullptr) return static_cast<void>(item), false;"),
    ("deque", "popping by position takes what lies on top along", DEQUE, "bottom_.load(order::relaxed) - 1 != position || top_", "top_"),
    ("inbox", "push publishes without release", INBOX, "order::acq_rel,\n                                         order::relaxed));",
     "order::relaxed,\n                                         order::relaxed));"),
    ("inbox", "push wakes nobody", INBOX, "return head == sleeping;", "return false;"),
    ("inbox", "take does not acquire", INBOX, "head_.exchange(0, order::acquire)", "head_.exchange(0, order::relaxed)"),
    ("inbox", "take leaves the last come first", INBOX, "Node* const next = n->next_; // before n runs and is gone",
     "return n;\n            Node* const next = n->next_;"),
    ("inbox", "going to sleep throws away what has come", INBOX,
     "return head_.compare_exchange(expected, sleeping, order::acq_rel, order::relaxed);",
     "head_.exchange(sleeping);\n        return expected == 0;"),
    ("parking_place", "wake wakes before it says so", PLACE,
     "if (word_.exchange(woken, order::release) == asleep) futex_wake(address, 1);",
     "futex_wake(address, 1);\n    word_.exchange(woken, order::release);", ["base/parking_place"]),
    ("parking_place", "wake publishes without release", PLACE, "word_.exchange(woken, order::release)",
     "word_.exchange(woken, order::relaxed)", ["base/parking_place"]),
    ("parking_place", "a sleeper forgets that it was woken", PLACE,
     "static_cast<void>(word_.compare_exchange(before, asleep, order::relaxed, order::relaxed));",
     "word_.store(asleep, order::relaxed);", ["base/parking_place"]),
    ("parking_place", "wake looks at what may be gone", PLACE, "== asleep) futex_wake(address, 1);",
     "== asleep && word_.load(order::relaxed) == woken) futex_wake(address, 1);", ["base/parking_place"]),
    ("parking_place", "a sleeper does not acquire", INCLUDE + "detail/parking_place.hpp", "word_.load(order::acquire) == woken",
     "word_.load(order::relaxed) == woken", ["base/parking_place"]),
    ("parking_place", "a waker overlooks who sleeps", PLACE, "word_.exchange(woken, order::release) == asleep",
     "word_.exchange(woken, order::release) == quiet", ["base/parking_place"]),
    ("future", "the result is published without release", WORD,
     "(s | ready | flags) - owner, order::acq_rel,", "(s | ready | flags) - owner, order::relaxed,", FUTURES),
    ("future", "ready is seen without acquire", WORD, "word load() const noexcept { return word_.load(order::acquire); }",
     "word load() const noexcept { return word_.load(order::relaxed); }", FUTURES),
    ("future", "cancelled although started", WORD, "while (!(s & (started | ready)))", "while (!(s & ready))", FUTURES),
    ("future", "the last owner does not see the others' end", WORD, "return last(word_.fetch_sub(owner, order::acq_rel));",
     "return last(word_.fetch_sub(owner, order::relaxed));", FUTURES),
    ("future", "a hook is left although the result is there", WORD, "if (s & ready) return added::ready;", "", FUTURES),
    ("future", "a hook is believed to be taken back that was not", WORD,
     "if (!(s & (waiting | locked))) return false;", "if (!(s & (waiting | locked))) return true;", FUTURES),
    ("submitted", "it is complete while somebody uses its scope", WORD, "if (s & (locked | stopping)) {", "if (s & locked) {", FUTURES),
    ("submitted", "its scope is given up without release", WORD, "word_.fetch_sub(stopping, order::release);",
     "word_.fetch_sub(stopping, order::relaxed);", FUTURES),
    ("submitted", "who stops does not look whether it is over", WORD, "while ((s & (started | cancelled | ready | stopping)) == started)",
     "while ((s & (started | cancelled | stopping)) == started)", FUTURES),
    ("future", "the future goes although others are at it", WORD, "return (s & (ready | locked)) == ready && last(s);",
     "return (s & ready) != 0;", FUTURES),
    ("slots", "a result is finished without release", SLOT, "word_.exchange(word(generation, slot_phase::done), order::seq_cst);",
     "word_.exchange(word(generation, slot_phase::done), order::relaxed);"),
    ("slots", "a task is published without a barrier", SLOT, "word_.store(word(generation, slot_phase::queued), order::seq_cst);",
     "word_.store(word(generation, slot_phase::queued), order::release);"),
    ("slots", "listening is announced without a barrier", SLOT, "word_.store(to, order::seq_cst);",
     "word_.store(to, order::release);"),
    ("slots", "what is not told is forgotten", SLOT, "untold = true;", "untold = false;"),
    ("slots", "parking is announced without a barrier", SLOT, "word_.store(parked, order::seq_cst);",
     "word_.store(parked, order::release);"),
    ("slots", "a claim does not look", SLOT, "return step(generation, slot_phase::queued, slot_phase::running);",
     "word_.store(word(generation, slot_phase::running), order::seq_cst);\n        return true;"),
    ("slots", "a withdrawal does not look", SLOT, "return step(generation, slot_phase::queued, slot_phase::withdrawn);",
     "word_.store(word(generation, slot_phase::withdrawn), order::seq_cst);\n        return true;"),
    ("byte_ring", "bytes are published before they are there", BYTES,
     "std::copy_n(from, first, ring + at);\n    std::copy_n(from + first, count - first, ring);\n    "
     "positions.produced.store(produced + count, order::seq_cst);",
     "positions.produced.store(produced + count, order::seq_cst);\n    std::copy_n(from, first, ring + at);\n    "
     "std::copy_n(from + first, count - first, ring);"),
    ("byte_ring", "bytes are published without release", BYTES, "positions.produced.store(produced + count, order::seq_cst);",
     "positions.produced.store(produced + count, order::relaxed);"),
    ("byte_ring", "bytes are published without a barrier", BYTES, "positions.produced.store(produced + count, order::seq_cst);",
     "positions.produced.store(produced + count, order::release);"),
    ("byte_ring", "room is given back without release", BYTES,
     "positions.consumed.load(order::relaxed) + count, order::seq_cst);", "positions.consumed.load(order::relaxed) + count, order::relaxed);"),
    ("byte_ring", "room is looked for without order", BYTES,
     "positions.produced.load(order::relaxed) - positions.consumed.load(order::seq_cst);",
     "positions.produced.load(order::relaxed) - positions.consumed.load(order::relaxed);"),
    ("byte_ring", "room for one more than there is", BYTES, "ring_capacity - static_cast<std::size_t>(used)",
     "ring_capacity + 1 - static_cast<std::size_t>(used)"),
    ("byte_ring", "what goes around the end is lost", BYTES, "std::copy_n(from + first, count - first, ring);", ""),
    ("byte_ring", "a position that cannot be is believed", BYTES, "return there > ring_capacity ? 0 : static_cast<std::size_t>(there);",
     "return static_cast<std::size_t>(there);"),
    ("spin_lock", "unlock without release", LOCK, "word_.store(0, order::release);", "word_.store(0, order::relaxed);"),
    ("spin_lock", "lock without acquire", LOCK, "word_.exchange(1, order::acquire)", "word_.exchange(1, order::relaxed)"),
    ("spin_lock", "lock in two steps", LOCK, "word_.exchange(1, order::acquire) != 0",
     "word_.load(order::acquire) != 0 || (word_.store(1, order::relaxed), false)"),
    ("channel", "a sender's stamp without release", RING, "s.stamp.exchange(half(tail + 1), order::seq_cst);",
     "s.stamp.exchange(half(tail + 1), order::relaxed);"),
    ("channel", "a receiver's stamp without release", RING, "s.stamp.exchange(half(head + lap_), order::seq_cst);",
     "s.stamp.exchange(half(head + lap_), order::relaxed);"),
    ("channel", "the stamp is written before the item", RING,
     "::new (static_cast<void*>(s.bytes)) T(std::move(x));", "s.stamp.exchange(half(tail + 1), order::seq_cst);\n"
     "        ::new (static_cast<void*>(s.bytes)) T(std::move(x));"),
    ("channel", "waiting is announced without a barrier", CORE, "waiting_.fetch_or(Whom, order::seq_cst);",
     "waiting_.fetch_or(Whom, order::relaxed);"),
    ("channel", "who waits is looked for without a barrier", CORE, "if (waiting_.load(order::seq_cst) & Whom) serve_all();",
     "if (waiting_.load(order::relaxed) & Whom) serve_all();"),
    ("channel", "close wakes nobody", CORE, "ring.close();\n            serve(done);", "ring.close();"),
    ("channel", "no second look before a receiver waits", CORE, "const result r = ring.pop(*w.into);\n        if",
     "const result r = result::blocked;\n        if"),
    ("channel", "many are sent and nobody is told", CORE, "if (r == result::done) look_again_for<receivers>();", ""),
    ("async", "unlock forgets who waits", SRC + "coro/async_mutex.cpp", "if (!queue_.end_first(woken)) locked_ = false;",
     "locked_ = false;", ["coro/async_mutex"]),
    ("async", "a permit is handed on and kept", SRC + "coro/async_semaphore.cpp",
     "while (permits > 0 && queue_.end_first(woken)) --permits;", "while (permits > 0 && queue_.end_first(woken)) break;",
     ["coro/async_semaphore"]),
    ("async", "set wakes nobody", SRC + "coro/async_event.cpp", "queue_.end_all(woken);", "", ["coro/async_event"]),
    ("async", "a wait that was cancelled stays in the list", SRC + "coro/async_wait.cpp", "q.list.remove(*this);", "",
     ["coro/async_wait"]),
    ("async", "resumed while a canceller holds it", SCOPE, "order::acquire))\n        return false;\n    return true;",
     "order::acquire))\n        return true;\n    return true;", ["base/context"]),
    ("async", "who was parked is not posted", SCOPE, "slot_.store(word_stopped, order::release);\n        post = true;",
     "slot_.store(word_stopped, order::release);", ["base/context"]),
    ("lanes", "records are claimed without acquire", LANES, "const std::uint64_t tail = tail_.load(order::seq_cst);",
     "const std::uint64_t tail = tail_.load(order::relaxed);"),
    ("lanes", "a record is published without release", LANE, "tail_.store(tail + n, order::seq_cst);",
     "tail_.store(tail + n, order::relaxed);"),
    ("lanes", "a slow lane's record is published without a barrier", LANE, "tail_.store(tail + n, order::seq_cst);",
     "tail_.store(tail + n, order::release);"),
    ("lanes", "a fast lane's record is published without release", LANE, "tail_.store(tail + n, order::release);",
     "tail_.store(tail + n, order::relaxed);"),
    ("lanes", "a lane becomes fast without a barrier", LANES, "fast_.exchange(true, order::seq_cst);",
     "fast_.store(true, order::release);"),
    ("lanes", "who goes to sleep looks into the lane, and then for its pace", LANE,
     "return fast_.load(order::seq_cst) || !empty();", "return !empty() || fast_.load(order::seq_cst);"),
    ("lanes", "who goes to sleep does not look for the lane's pace", LANE, "return fast_.load(order::seq_cst) || !empty();",
     "return !empty();"),
    ("lanes", "a lane is slowed down while it is sent to", LANE, "const spin_guard guard{lock_};\n        fast_.store(", "fast_.store("),
    ("lanes", "a lane is slowed down without release", LANE, "fast_.store(false, order::release);", "fast_.store(false, order::relaxed);"),
    ("lanes", "a lane's pace is looked at without acquire", LANE, "return fast_.load(order::seq_cst) ||",
     "return fast_.load(order::relaxed) ||"),
    ("lanes", "a claim is taken whatever the exchange says", LANES,
     "if (!head_.compare_exchange(head, head + n, order::acq_rel, order::relaxed)) return {};",
     "head_.compare_exchange(head, head + n, order::acq_rel, order::relaxed);"),
    ("lanes", "a record of a claim is taken without an exchange", LANE,
     "if (!word_.compare_exchange(word, after, order::acq_rel, order::relaxed)) continue;", "word_.store(after, order::seq_cst);"),
    ("lanes", "what a block has left is taken for a record", LANE, "if (first == 0) {", "if (false) {"),
    ("lanes", "a claim does not hold its chunk", LANE, "c.join();\n        chunk_ = &c;\n        read_ = 1;",
     "chunk_ = &c;\n        read_ = 0;"),
    ("lanes", "a chunk is used again while it is read", LANES, "if (c.done(1)) spares.give(c);", "spares.give(c);"),
    ("pool", "no last look before going to sleep", POOL, "if (stop_ || work_possible()) {", "if (stop_) {"),
    ("pool", "who goes to sleep does not look for forks once more", POOL, " &&\n         !forks_seen_late()))", "))"),
    ("pool", "sleepers are looked for without a barrier", POOL,
     "if (sleepers_.load(order::seq_cst) == 0) return {};", "if (sleepers_.load(order::relaxed) == 0) return {};"),
    ("pool", "who goes to sleep slows no lane down", POOL, "slow_lanes_down();\n    std::uint32_t epoch", "std::uint32_t epoch"),
    ("pool", "who claims several tells nobody of the rest", SEARCH,
     "if (sleepers_.load(order::seq_cst) != 0 && (more || !mine.claim.empty())) wake_one();",
     "if (more && sleepers_.load(order::seq_cst) != 0) wake_one();"),
    ("pool", "a wake that is under way is never over", POOL, "mine.passes_on = receive_wake();", ""),
    ("pool", "a swallowed wake is forgotten", POOL,
     "if (std::exchange(mine_here.passes_on, false)) pass_wake_on();", ""),
    ("pool", "a wake is not marked by one that it swallows", POOL, "? wanted : waking::for_more)", "? wanted : waking_)"),
    ("pool", "a wake that is passed on is passed on no more", POOL, "request_wake(waking::for_more)",
     "request_wake(waking::for_one)"),
    ("pool", "who comes too late is not counted out", ENGINE, "    leave(n);\n    throw_closed();", "    throw_closed();"),
    ("pool", "the last one out wakes nobody", ENGINE, "if (before & closed_bit) futex_wake_all(live_.address());", ""),
    ("join", "the last child does not see what others have done", JOIN, "if (left_.load(order::acquire) == n) return true;",
     "if (left_.load(order::relaxed) == n) return true;"),
    ("join", "a child is counted out without release", JOIN, "return left_.fetch_sub(n, order::acq_rel) == n;",
     "return left_.fetch_sub(n, order::relaxed) == n;"),
    ("join", "a child begins in the place of one that was stolen", JOIN, "if (!self.is_last && e.budget != 0 && e.forks->pop_if((&self)[1])) {",
     "if (!self.is_last && e.budget != 0 && (e.forks->pop_if((&self)[1]), true)) {"),
    ("join", "who was taken back does not count the one before", JOIN, "next.owes = self.owes + 1;", ""),
    ("join", "two make the same parents whole", JOIN, "const spin_guard guard{entering};\n    context* top", "context* top"),
    ("join", "a failure stops nobody", JOIN, "order::acq_rel, order::acquire))\n        stop_children();", "order::acq_rel, order::acquire))\n        {}"),
    ("join", "who is made whole is not told that it was stopped", JOIN,
     "if (!at->arm(own))\n                for (std::size_t i = 0; i < own.size(); ++i) own.children_[i].stop();", "at->arm(own);"),
    ("forks", "a thief ends a fork without release", FORK, "if ((g.ended_.fetch_add(1, order::acq_rel) & sleeping) != 0)",
     "if ((g.ended_.fetch_add(1, order::relaxed) & sleeping) != 0)"),
    ("forks", "a thief wakes nobody", FORK, "if ((g.ended_.fetch_add(1, order::acq_rel) & sleeping) != 0) futex_wake(word);",
     "g.ended_.fetch_add(1, order::acq_rel);"),
    ("forks", "what thieves have done is not seen", FORK, "while (ended_.load(order::acquire) != pending_) {",
     "while (ended_.load(order::relaxed) != pending_) {"),
    ("graph", "a node does not see what was done before it", STRAND, "if (cell.left.fetch_sub(1, order::acq_rel) != 1) return false;",
     "if (cell.left.fetch_sub(1, order::relaxed) != 1) return false;"),
    ("graph", "the run's end does not see what was done before it", STRAND, "if (in_->strands.fetch_sub(n, order::acq_rel) != n) return nullptr;",
     "if (in_->strands.fetch_sub(n, order::relaxed) != n) return nullptr;"),
    ("graph", "what a strand takes back is not counted out", STRAND, "    ++ahead_;\n", ""),
    ("graph", "a strand's end forgets what it counted ahead", STRAND, "const std::uint32_t n = std::exchange(ahead_, 0) + 1;",
     "const std::uint32_t n = 1;"),
    ("graph", "a coroutine's end and its suspension miss each other", STRAND,
     "if (child->met.exchange(suspended, order::acq_rel) == starting) return how::suspended;",
     "if (child->met.load(order::acquire) == starting) return child->met.store(suspended, order::release), how::suspended;"),
    ("graph", "a coroutine begins though the run is stopped", GRAPH_STOP, "linked = !stopping();", "linked = true;"),
    ("graph", "a failure stops nobody", GRAPH_STOP, "while (context* child = next_live()) child->stop();", ""),
]


def build_and_run(number, mutant, arguments):
    model, title, file, old, new, *rest = mutant
    again = list(rest[0]) if rest else []
    text = (ROOT / file).read_text(encoding="utf-8")
    if text.count(old) != 1:
        return False, f"the text stands {text.count(old)} times in {file}, and must stand there once"
    overlay = arguments.work / f"mutant_{number}"
    shutil.rmtree(overlay, ignore_errors=True)
    changed = text.replace(old, new)
    source = MODEL / f"{model}.cpp"
    with_std = []
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.startswith("// with: "):
            with_std += line.removeprefix("// with: ").split()
        small = re.fullmatch(r"// small: (\S+) (.+) -> (.+)", line)
        if small:
            path = SRC + small[1] if (ROOT / SRC / small[1]).exists() else "include/" + small[1]
            made = overlay / path  # in several places, perhaps
            if path == file:
                changed = changed.replace(small[2], small[3])
            else:
                before = (made if made.exists() else ROOT / path).read_text(encoding="utf-8")
                write(made, before.replace(small[2], small[3]))
    write(overlay / file, changed)
    common = [*arguments.compiler.split(), "-std=c++20", *arguments.flags.split(), "-w", f"-I{overlay}/src", f"-I{overlay}/include",
              f"-I{MODEL}/shadow", f"-I{ROOT}/include", f"-I{ROOT}/src", f"-I{MODEL}", "-c"]

    def place(name):
        mutated = overlay / SRC / f"{name}.cpp"
        return mutated if mutated.exists() else ROOT / SRC / f"{name}.cpp"

    objects = []
    for what, flags in [(source, [])] + [(place(n), ["-include", f"{MODEL}/shadow/std_threads.hpp"]) for n in with_std] + \
                       [(place(n), []) for n in again]:
        result = overlay / (what.stem + ("_model.o" if what == source else ".o"))
        compiled = subprocess.run([*common, *flags, what, "-o", result], capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            return False, "does not compile:\n" + compiled.stderr[:2000]
        objects.append(result)
    program = overlay / "program"
    linked = subprocess.run([*arguments.compiler.split(), *arguments.flags.split(), *objects, arguments.library, "-lgtest",
                             "-lgtest_main", "-pthread", "-o", program], capture_output=True, text=True, check=False)
    if linked.returncode != 0:
        return False, "does not link:\n" + linked.stderr[:2000]
    run = subprocess.run([program, "--gtest_brief=1"], capture_output=True, text=True, check=False, timeout=400)
    output = run.stdout + run.stderr
    found = re.search(r"^([^\n]*)\nThe schedule \(number (\d+)\)", output, re.M)
    if run.returncode == 0 or not found:
        return False, f"it lives (exit status {run.returncode})\n" + output[-2000:]
    schedule = re.search(r'\.replay = "([^"]*)"', output)[1]
    return True, f"schedule {found[2]}, {schedule}\n        {found[1]}"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--flags", default="-O1")
    parser.add_argument("names", nargs="*", help="models, or parts of titles; all if none is given")
    arguments = parser.parse_args()
    chosen = [(n, m) for n, m in enumerate(MUTANTS) if not arguments.names or
              any(name == m[0] or name in m[1] for name in arguments.names)]
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(m, pool.submit(build_and_run, n, m, arguments)) for n, m in chosen]
        for mutant, job in jobs:
            killed, how = job.result()
            survivors += not killed
            print(f"{'killed' if killed else 'FAILED'}  {mutant[0]}: {mutant[1]}: {how}", flush=True)
    print(f"{len(chosen)} mutants, {len(chosen) - survivors} killed")
    sys.exit(1 if survivors else 0)


main()
