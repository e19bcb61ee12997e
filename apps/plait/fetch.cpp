// SPDX-License-Identifier: Apache-2.0
#include "fetch.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "interrupt.hpp"
#include "progress.hpp"

namespace plait::app {
namespace {

constexpr int wrong_usage = 2;
constexpr int could_not_begin = 3;

bool print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t done = ::write(STDOUT_FILENO, text.data(), text.size());
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
}

/// The classic exercise: two sites, 80 times each, from servers that take 50 ms to answer.
void ask_for_demo(fetch_command& command, const fetch::demo_server& server) {
    for (int i = 0; i < 80; ++i)
        for (const std::string& site : server.urls()) command.what.urls.push_back(site);
    command.what.discard = true;
    command.what.per_host = 0;
    if (command.marks == mark::none && !command.json && command.what.report != "-" && !command.quiet)
        command.marks = command.what.executor == fetch::strategy::processes ? mark::worker : mark::site;
}

/// As curl has it: the user's certificates where the command line names none.
void trust_environment(fetch::options& what) {
    for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
        const char* const file = std::getenv(name);
        if (what.ca_file.empty() && file != nullptr) what.ca_file = file;
    }
}

} // namespace

int run_fetch(fetch_command command) {
    try {
        fetch::prepare_process();
        std::optional<fetch::demo_server> server;
        trust_environment(command.what);
        if (command.demo) ask_for_demo(command, server.emplace());
        fetch::stopper until;
        const interrupt_guard interrupts{until};
        fetch_progress shown{command};
        const fetch::summary result = fetch::run(command.what, &shown, &until);
        shown.finish(result);
        if (command.json && !print(result.to_json(command.what))) return could_not_begin;
        return result.exit_status();
    } catch (const std::invalid_argument& wrong) {
        fmt::print(stderr, "plait fetch: {}\n", wrong.what());
        return wrong_usage;
    } catch (const std::exception& failed) {
        fmt::print(stderr, "plait fetch: {}\n", failed.what());
        return could_not_begin;
    }
}

} // namespace plait::app
