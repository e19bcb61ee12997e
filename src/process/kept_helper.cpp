// SPDX-License-Identifier: Apache-2.0
#include "process/kept_helper.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

namespace plait::detail {
namespace {

constexpr int patience_ms = 5000;

// Held for as long as one asks it: it must not go meanwhile, and answers one at a time.
constinit std::mutex kept_lock;
constinit kept_helper* kept = nullptr;

} // namespace

kept_helper::kept_helper() : owner_{::getpid()} {
    client_.spawn();
    const std::lock_guard guard{kept_lock};
    if (!kept) kept = this;
}

kept_helper::~kept_helper() {
    if (owner_ != ::getpid()) { // a child that the program has forked
        client_.forget();
        return;
    }
    {
        const std::lock_guard guard{kept_lock};
        if (kept == this) kept = nullptr;
    }
    client_.kill();
}

// If it was killed, it is spawned once more.
bool kept_helper::is_there() noexcept {
    try {
        if (!client_.alive()) client_.spawn();
        return true;
    } catch (...) {
        return false;
    }
}

std::optional<kept_helper::forked> kept_helper::next_answer() noexcept {
    for (;;) {
        while (std::optional<helper_client::message> message = client_.receive()) {
            if (message->reply.what == helper_reply::kind::fork_failed) return std::nullopt;
            if (message->reply.what == helper_reply::kind::forked)
                return forked{std::move(message->process), message->reply.pid};
        }
        if (!client_.alive()) return std::nullopt;
        pollfd entry{client_.channel(), POLLIN, 0};
        const int ready = ::poll(&entry, 1, patience_ms);
        if (ready > 0 || (ready < 0 && errno == EINTR)) continue;
        client_.kill(); // else a late answer would be taken for that to the next question
        return std::nullopt;
    }
}

std::optional<kept_helper::forked> kept_helper::fork_helper(int channel) noexcept {
    if (owner_ != ::getpid()) return std::nullopt; // as above
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (!is_there()) return std::nullopt;
        const int error = client_.fork_helper(channel);
        if (error == 0)
            if (std::optional<forked> answer = next_answer()) return answer;
        if (client_.alive()) {
            if (error == 0) return std::nullopt; // it has said no
            client_.kill();                      // out of step
        }
    }
    return std::nullopt;
}

std::optional<kept_helper::forked> fork_kept_helper(int channel) noexcept {
    const std::lock_guard guard{kept_lock};
    return kept ? kept->fork_helper(channel) : std::nullopt;
}

} // namespace plait::detail
