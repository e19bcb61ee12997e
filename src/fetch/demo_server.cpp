// SPDX-License-Identifier: Apache-2.0
#include <plait/event_loop.hpp>
#include <plait/fetch.hpp>
#include <plait/io.hpp>
#include <plait/task_group.hpp>
#include <plait/time.hpp>

#include <array>
#include <exception>
#include <string>
#include <utility>

namespace plait::fetch {
namespace {

using namespace std::chrono_literals;

constexpr auto delay = 50ms;
constexpr std::size_t longest_request = 64 * 1024;

/// Answers whatever one client asks, each time after the delay.
task<> answer(io::socket client) {
    const std::string page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" +
                             std::string(1023, '.') + '\n';
    std::array<std::byte, 4096> block;
    std::string request;
    try {
        while (const std::size_t got = co_await client.read(block)) {
            request.append(reinterpret_cast<const char*>(block.data()), got);
            if (request.size() > longest_request) co_return;
            for (auto end = request.find("\r\n\r\n"); end != std::string::npos;
                 end = request.find("\r\n\r\n")) {
                request.erase(0, end + 4);
                co_await sleep_for(delay);
                co_await client.write_all(std::as_bytes(std::span{page}));
            }
        }
    } catch (const std::exception&) { // the client went away
    }
}

task<> serve(io::listener& site) {
    auto clients = [&site](task_group& group) -> task<> {
        for (;;) {
            io::socket client = co_await site.accept();
            (void)group.spawn(answer, std::move(client));
        }
    };
    co_await with_group(clients);
}

} // namespace

struct demo_server::implementation {
    implementation() : sites{io::listen("127.0.0.1", 0), io::listen("127.0.0.1", 0)} {
        for (io::listener& site : sites) serving.push_back(loop.submit([&site] { return serve(site); }));
    }
    ~implementation() {
        for (auto& each : serving) each.cancel();
        for (auto& each : serving) each.wait();
    }
    implementation(const implementation&) = delete;
    implementation& operator=(const implementation&) = delete;

    event_loop loop{{.name = "plait-demo"}};
    std::array<io::listener, 2> sites;
    std::vector<future<void>> serving;
};

demo_server::demo_server() : self_(new implementation) {}
demo_server::~demo_server() { delete self_; }

std::vector<std::string> demo_server::urls() const {
    std::vector<std::string> out;
    out.reserve(self_->sites.size());
    for (const io::listener& site : self_->sites)
        out.push_back("http://127.0.0.1:" + std::to_string(site.local_port()) + "/");
    return out;
}

} // namespace plait::fetch
