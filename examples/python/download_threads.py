# SPDX-License-Identifier: Apache-2.0
"""Two sites, 80 times each, by a pool of five threads; each thread keeps a session of its own."""
import concurrent.futures
import sys
import threading
import time

import requests

thread_local = threading.local()


def get_session():
    if not hasattr(thread_local, "session"):
        thread_local.session = requests.Session()
    return thread_local.session


def download(url, mark):
    with get_session().get(url) as response:
        response.raise_for_status()
        print(mark, end="", flush=True)
        return len(response.content)


def download_all(sites):
    with concurrent.futures.ThreadPoolExecutor(max_workers=5) as pool:
        return list(pool.map(download, sites, "AB" * 80))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: download_threads.py URL URL")
    sites = sys.argv[1:] * 80
    start = time.perf_counter()
    sizes = download_all(sites)
    seconds = time.perf_counter() - start
    print(f"\n{len(sizes)} downloads, {sum(sizes)} bytes, {seconds:.2f} seconds")


if __name__ == "__main__":
    main()
