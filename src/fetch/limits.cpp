// SPDX-License-Identifier: Apache-2.0
#include "fetch/limits.hpp"

#include <plait/processors.hpp>

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace plait::fetch {

namespace {

constexpr std::size_t for_everything_else = 32;

struct charge {
    std::size_t worker;
    std::size_t connection;
};

constexpr charge charge_of(strategy executor) noexcept {
    switch (executor) {
    case strategy::threads:
        return {4, 1}; // an engine and the one file that a thread writes; a socket
    case strategy::loops:
        return {5, 3}; // an engine and a loop; a busy socket with its file, and a kept one
    case strategy::processes:
        return {5, 0}; // while they start, later three; what their connections take is theirs
    case strategy::serial:
    case strategy::loop:
        break;
    }
    return {0, 2}; // one engine, which everything else has room for
}

} // namespace

crew_size size_wanted(const options& what) noexcept {
    const auto workers_or = [&](std::size_t usual) {
        return std::clamp<std::size_t>(what.workers == 0 ? usual : what.workers, 1, what.connections);
    };
    const std::size_t processors = std::max<std::size_t>(1, available_processors());
    switch (what.executor) {
    case strategy::threads:
        return {workers_or(32), what.connections};
    case strategy::loops:
    case strategy::processes:
        return {workers_or(processors), what.connections};
    case strategy::serial:
    case strategy::loop:
        break;
    }
    return {1, what.connections};
}

crew_size size_for(std::size_t descriptors, strategy executor, crew_size wanted) noexcept {
    const std::size_t free = descriptors > for_everything_else ? descriptors - for_everything_else : 0;
    const charge each = charge_of(executor);
    crew_size out = wanted;
    if (executor == strategy::processes) { // each of them has one engine, as a loop has
        out.connections = size_for(descriptors, strategy::loop, {1, wanted.connections}).connections;
        out.workers =
            std::max<std::size_t>(1, std::min({wanted.workers, out.connections, free / each.worker}));
        return out;
    }
    const std::size_t workers = each.worker * wanted.workers;
    if (workers < free && (free - workers) / each.connection >= wanted.workers) {
        out.connections = std::min(wanted.connections, (free - workers) / each.connection);
        return out;
    }
    out.connections = std::max<std::size_t>(1, free / (each.worker + each.connection));
    out.workers = std::min(wanted.workers, out.connections);
    return out;
}

crew_size fit(const options& what, std::string& note) {
    const crew_size wanted = size_wanted(what);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    const auto allowed = [&] {
        return limit.rlim_cur == RLIM_INFINITY
                   ? wanted
                   : size_for(static_cast<std::size_t>(limit.rlim_cur), what.executor, wanted);
    };
    if (limit.rlim_cur < limit.rlim_max && allowed() != wanted) {
        rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    const crew_size given = allowed();
    if (given == wanted) return given;
    note = std::to_string(limit.rlim_cur) + " descriptors allow " + std::to_string(given.connections) +
           " of " + std::to_string(wanted.connections) + " connections";
    if (given.workers < wanted.workers)
        note +=
            " and " + std::to_string(given.workers) + " of " + std::to_string(wanted.workers) + " workers";
    note += "; raise the limit with ulimit -n";
    return given;
}

std::size_t kept_of(strategy executor, crew_size size) noexcept {
    if (executor == strategy::processes) return size.connections;
    return std::max<std::size_t>(1, size.connections / size.workers);
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
