# SPDX-License-Identifier: Apache-2.0
"""Two sites, 80 times each, by a pool of processes whose initializer makes the session; marked by worker."""
import multiprocessing
import sys
import time

import requests

session = None


def make_session():
    global session
    session = requests.Session()


def download(url):
    with session.get(url) as response:
        response.raise_for_status()
        worker = multiprocessing.current_process().name
        return worker, len(response.content)


def download_all(sites):
    sizes = []
    with multiprocessing.Pool(initializer=make_session) as pool:
        results = pool.imap_unordered(download, sites)
        for worker, size in results:
            number = worker.rpartition("-")[2]
            print(number, end=" ", flush=True)
            sizes.append(size)
    return sizes


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: download_processes.py URL URL")
    sites = sys.argv[1:] * 80
    start = time.perf_counter()
    sizes = download_all(sites)
    seconds = time.perf_counter() - start
    print(f"\n{len(sizes)} downloads, {sum(sizes)} bytes, {seconds:.2f} seconds")


if __name__ == "__main__":
    main()
