# SPDX-License-Identifier: Apache-2.0
"""multiprocessing and ProcessPoolExecutor: one figure a line, in the order in which bench/process.cpp reads them."""

import array
import concurrent.futures
import multiprocessing
import statistics
import time


def nothing(value=0):
    return value


def ns(work, times):
    taken = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        work()
        taken.append(time.perf_counter_ns() - begun)
    return taken


def main():
    context = multiprocessing.get_context("fork")

    def ready():
        with context.Pool(2) as fresh:
            fresh.map(nothing, range(2), chunksize=1)
    ready_small = min(ns(ready, 15))
    with context.Pool(2) as pool:
        pool.apply(nothing)
        print(statistics.median(ns(lambda: pool.apply(nothing), 1000)))          # round trip
        items = 20_000
        print(min(ns(lambda: sum(1 for _ in pool.imap(nothing, range(items))), 3)) / items)
        data = array.array("d", bytes(100_000_000))
        print(min(ns(lambda: pool.apply(nothing, (data,)), 3)))                  # 100 MB in and out
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        pool.submit(nothing).result()
        print(statistics.median(ns(lambda: pool.submit(nothing).result(), 1000)))
    print(min(ns(ready, 15)))                                                   # beside 100 MB
    print(ready_small)


main()
