// SPDX-License-Identifier: Apache-2.0
#include "fetch/limits.hpp"

#include <plait/fetch.hpp>

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace plait::fetch {

std::size_t connections_for(std::size_t descriptors, std::size_t wanted) noexcept {
    const std::size_t free = descriptors > 32 ? descriptors - 32 : 0;
    return std::max<std::size_t>(1, std::min(wanted, free / 2));
}

std::size_t fit_connections(std::size_t wanted, std::string& note) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    if (limit.rlim_cur < limit.rlim_max && connections_for(limit.rlim_cur, wanted) < wanted) {
        rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    const std::size_t given = limit.rlim_cur == RLIM_INFINITY
                                  ? wanted
                                  : connections_for(static_cast<std::size_t>(limit.rlim_cur), wanted);
    if (given < wanted)
        note = std::to_string(limit.rlim_cur) + " descriptors allow " + std::to_string(given) + " of " +
               std::to_string(wanted) + " connections; raise the limit with ulimit -n";
    return given;
}

namespace {

/// libcurl makes a receive buffer of 128 KiB for each request and frees it afterwards. By default the
/// allocator gives so large a piece back to the system, which then has to clear a new page for each request.
void keep_freed_memory() noexcept {
#ifdef __GLIBC__
    (void)::mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)::mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
}

} // namespace

void prepare_process() noexcept {
    for (int fd = 0; fd <= 2; ++fd)
        if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    keep_freed_memory();
}

} // namespace plait::fetch
