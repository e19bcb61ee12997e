// SPDX-License-Identifier: Apache-2.0
// Two sites, 80 times each, by coroutines gathered over one session; failures are returned in their place.
#include <err.h>

#include <chrono>
#include <iostream>

#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/http.hpp>

plait::task<std::size_t> download(plait::http::session& session, std::string url, char mark) {
    const auto response = co_await session.get(url);
    response.raise_for_status();
    std::cout << mark << std::flush;
    co_return response.body.size();
}

plait::task<> download_all(char** sites) {
    const auto start = std::chrono::steady_clock::now();
    plait::http::session session;
    std::vector<plait::task<std::size_t>> tasks;
    for (int i = 0; i < 160; ++i) tasks.push_back(download(session, sites[i % 2], "AB"[i % 2]));
    std::size_t count = 0, bytes = 0;
    for (const auto& result : co_await plait::gather_outcomes(std::move(tasks))) {
        try {
            bytes += result.value();
            ++count;
        } catch (const std::exception& failure) {
            std::cout << "\nfailed: " << failure.what();
        }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << "\n" << count << " downloads, " << bytes << " bytes, " << seconds.count() << " seconds\n";
}

int main(int argc, char** argv) {
    if (argc != 3) errx(2, "usage: download_loop URL URL");
    plait::run(download_all(argv + 1));
}
