# SPDX-License-Identifier: Apache-2.0
"""Two sites, 80 times each, by coroutines gathered over one session; failures are returned in their place."""
import asyncio
import sys
import time

import aiohttp


async def download(session, url, mark):
    async with session.get(url) as response:
        response.raise_for_status()
        body = await response.read()
        print(mark, end="", flush=True)
        return len(body)


async def download_all(sites):
    async with aiohttp.ClientSession() as session:
        tasks = []
        for url, mark in zip(sites, "AB" * 80):
            tasks.append(download(session, url, mark))
        return await asyncio.gather(*tasks, return_exceptions=True)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: download_loop.py URL URL")
    sites = sys.argv[1:] * 80
    start = time.perf_counter()
    results = asyncio.run(download_all(sites))
    seconds = time.perf_counter() - start
    count = size = 0
    for result in results:
        if isinstance(result, Exception):
            print(f"\nfailed: {result}", end="")
        else:
            count += 1
            size += result
    print(f"\n{count} downloads, {size} bytes, {seconds:.2f} seconds")


if __name__ == "__main__":
    main()
