# SPDX-License-Identifier: Apache-2.0
"""python_pool.py WORKERS TASKS TRIPS: concurrent.futures' thread pool; nanoseconds for a task with a future, and from submit to result when idle."""

import concurrent.futures
import statistics
import sys
import time

workers, tasks, count = map(int, sys.argv[1:])
with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    begun = time.perf_counter_ns()
    for future in [pool.submit(int) for _ in range(tasks)]:
        future.result()
    print((time.perf_counter_ns() - begun) / tasks)
    trips = []
    for _ in range(count):
        time.sleep(0.0005)                      # the worker has gone to sleep
        begun = time.perf_counter_ns()
        pool.submit(int).result()
        trips.append(time.perf_counter_ns() - begun)
    print(statistics.median(trips) if trips else 0)
