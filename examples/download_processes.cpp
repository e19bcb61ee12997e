// SPDX-License-Identifier: Apache-2.0
// Two sites, 80 times each, by a pool of processes whose initializer makes the session; marked by worker.
#include <err.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <optional>

#include <plait/http.hpp>
#include <plait/process_pool.hpp>

std::optional<plait::http::session> session;

void make_session() { session.emplace(); }

std::pair<pid_t, std::size_t> download(const std::string& url) {
    const auto response = session->get_blocking(url);
    response.raise_for_status();
    return {getpid(), response.body.size()};
}

int main(int argc, char** argv) {
    const plait::program program{argc, argv};
    if (argc != 3) errx(2, "usage: download_processes URL URL");
    std::vector<std::string> sites;
    for (int i = 0; i < 80; ++i) sites.insert(sites.end(), argv + 1, argv + 3);
    const auto start = std::chrono::steady_clock::now();
    plait::process_pool pool{{.initializer = [] { session.emplace(); }}};
    std::size_t bytes = 0;
    for (const auto& [worker, size] : pool.map_unordered(download, sites)) {
        std::cout << worker << " " << std::flush;
        bytes += size;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << "\n"
              << sites.size() << " downloads, " << bytes << " bytes, " << seconds.count() << " seconds\n";
}
