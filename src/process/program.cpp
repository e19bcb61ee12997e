// SPDX-License-Identifier: Apache-2.0
#include <plait/program.hpp>

#include "process/helper_protocol.hpp"
#include "process/kept_helper.hpp"
#include "process/program_role.hpp"
#include "sys/spawn.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace plait {
namespace detail {
namespace {

struct program_role {
    bool hosts_workers = false;
    std::string name = "plait";
};

program_role& role() noexcept {
    static program_role r;
    return r;
}

bool socket_option_is(int descriptor, int option, int wanted) noexcept {
    int value = -1;
    socklen_t size = sizeof(value);
    return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool has_hung_up(int descriptor) noexcept {
    pollfd entry{descriptor, 0, 0};
    int ready = -1;
    do {
        ready = ::poll(&entry, 1, 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && (entry.revents & POLLHUP) != 0;
}

/// Is the descriptor a message socket whose other end our parent made? Only then may the variable be
/// believed: it could also have been inherited through a shell, or set by hand.
///
/// A parent that was killed meanwhile is our parent no more, but its end is closed: then too we are a helper,
/// which has nothing to do, and not the program, which must not run a second time.
bool is_helper_channel(int descriptor) noexcept {
    ucred peer{};
    socklen_t size = sizeof(peer);
    return socket_option_is(descriptor, SO_DOMAIN, AF_UNIX) &&
           socket_option_is(descriptor, SO_TYPE, SOCK_SEQPACKET) &&
           ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.pid == ::getppid() || has_hung_up(descriptor) ||
            (::kill(peer.pid, 0) != 0 && errno == ESRCH));
}

} // namespace

bool program_hosts_workers() noexcept { return role().hosts_workers; }

const std::string& program_name() noexcept { return role().name; }

} // namespace detail

namespace detail {
namespace {

/// In a copy that is to be a helper it does not return.
void become_helper_if_asked() {
    const char* variable = std::getenv(helper_variable);
    if (variable == nullptr) return;
    const std::string_view text{variable};
    std::array<char, token_size> token{};
    const bool well_formed = text.size() == token_size;
    if (well_formed) std::ranges::copy(text, token.begin());
    ::unsetenv(helper_variable); // what the workers' tasks start must not take itself for a helper
    if (well_formed && is_helper_channel(spawned_channel)) run_helper(spawned_channel, token);
}

} // namespace
} // namespace detail

program::program(int argc, char** argv, program_options options) {
    detail::role().hosts_workers = true;
    if (argc > 0 && argv != nullptr && argv[0] != nullptr) detail::role().name = argv[0];
    detail::become_helper_if_asked();
    if (!options.keep_helper) return;
    try {
        kept_ = new detail::kept_helper;
    } catch (...) { // then each pool starts its own, and says why it cannot
    }
}

program::~program() { delete kept_; }

} // namespace plait
