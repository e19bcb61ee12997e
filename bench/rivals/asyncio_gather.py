# SPDX-License-Identifier: Apache-2.0
"""gather of N coroutines that yield once, by asyncio: CPU nanoseconds each, the first time and the best of the rest.

Run by bench/gather.cpp: asyncio_gather.py N ROUNDS
"""

import asyncio
import sys
import time


async def child(i):
    await asyncio.sleep(0)
    return i


async def main(n, rounds):
    results = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        values = await asyncio.gather(*[child(i) for i in range(n)])
        results.append((time.process_time_ns() - begin) / n)
        assert values[n - 1] == n - 1
    print(results[0], min(results[1:], default=results[0]))


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
