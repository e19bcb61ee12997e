// SPDX-License-Identifier: Apache-2.0
#include "sys/pidfd.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace plait::detail {

unique_fd open_pidfd(pid_t process) noexcept {
    // close-on-exec by itself
    return above_stdio(unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))});
}

int signal_process(const unique_fd& process, int signal) noexcept {
    return ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0 ? 0 : errno;
}

bool has_ended(const unique_fd& process) noexcept {
    pollfd entry{process.get(), POLLIN, 0};
    int ready = -1;
    do {
        ready = ::poll(&entry, 1, 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && (entry.revents & POLLIN) != 0;
}

} // namespace plait::detail
