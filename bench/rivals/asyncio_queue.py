# SPDX-License-Identifier: Apache-2.0
"""asyncio_queue.py ITEMS ROUNDS: an asyncio.Queue of 1024 between two coroutines; prints the best rate, millions of items a second of CPU time."""

import asyncio
import sys
import time


async def produce(queue, items):
    for i in range(items):
        await queue.put(i)
    await queue.put(None)


async def consume(queue):
    total = 0
    while (item := await queue.get()) is not None:
        total += item
    return total


async def measure(items):
    queue = asyncio.Queue(1024)
    begin = time.process_time()
    _, total = await asyncio.gather(produce(queue, items), consume(queue))
    assert total == items * (items - 1) // 2
    return items / (time.process_time() - begin) / 1e6


count, rounds = int(sys.argv[1]), int(sys.argv[2])
print(max(asyncio.run(measure(count)) for _ in range(rounds)))
