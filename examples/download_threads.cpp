// SPDX-License-Identifier: Apache-2.0
// Two sites, 80 times each, by a pool of five threads; each thread keeps a session of its own.
#include <err.h>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <plait/http.hpp>
#include <plait/thread_pool.hpp>
#include <plait/worker_local.hpp>

plait::worker_local<plait::http::session> session;

std::size_t download(const std::pair<std::string, char>& site) {
    const auto response = session->get_blocking(site.first);
    response.raise_for_status();
    std::cout << site.second << std::flush;
    return response.body.size();
}

int main(int argc, char** argv) {
    if (argc != 3) errx(2, "usage: download_threads URL URL");
    std::vector<std::pair<std::string, char>> sites;
    for (int i = 0; i < 80; ++i) sites.insert(sites.end(), {{argv[1], 'A'}, {argv[2], 'B'}});
    const auto start = std::chrono::steady_clock::now();
    plait::thread_pool pool{{.workers = 5}};
    std::size_t bytes = 0;
    for (const std::size_t size : pool.map(download, sites)) bytes += size;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << "\n"
              << sites.size() << " downloads, " << bytes << " bytes, " << seconds.count() << " seconds\n";
}
