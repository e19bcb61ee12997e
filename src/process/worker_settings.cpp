// SPDX-License-Identifier: Apache-2.0
#include "process/worker_settings.hpp"

#include "process/exception_types.hpp"
#include "sys/errors.hpp"
#include "sys/sanitized.hpp"
#include "sys/seccomp.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace plait::detail {
namespace {

constexpr std::uint64_t least_memory = std::uint64_t{16} << 20; // a worker's own, with room
constexpr int nicest = 19;

} // namespace

void check_worker_settings(const worker_settings& settings) {
    if (settings.memory_limit != 0 && settings.memory_limit < least_memory)
        throw std::invalid_argument{"process_pool: .memory_limit is " +
                                    std::to_string(settings.memory_limit) +
                                    " bytes; a worker needs at least 16 MiB"};
    if (settings.nice < -nicest - 1 || settings.nice > nicest)
        throw std::invalid_argument{"process_pool: .nice is " + std::to_string(settings.nice) +
                                    "; it must be from -20 to 19"};
    for (const environment_variable& v : settings.environment) {
        if (v.name.empty() || v.name.find('=') != std::string::npos || v.name.find('\0') != std::string::npos)
            throw std::invalid_argument{"process_pool: .environment has a variable named '" + v.name +
                                        "'; a name must not be empty or contain '='"};
        if (v.value && v.value->find('\0') != std::string::npos)
            throw std::invalid_argument{"process_pool: .environment: the value of " + v.name +
                                        " contains a zero byte"};
    }
    if ((settings.isolate.no_network || settings.isolate.read_only_files) && !can_forbid_calls())
        throw std::system_error{
            ENOSYS, std::system_category(),
            "process_pool: .isolate needs seccomp filters, which this kernel (or the container that it runs "
            "in) does not have; leave .isolate out, or allow prctl(PR_SET_SECCOMP) there"};
}

void write_settings(byte_writer& out, const worker_settings& settings) {
    out.put(settings.memory_limit);
    out.put(settings.nice);
    out.put(static_cast<std::uint8_t>(settings.isolate.no_network ? 1 : 0));
    out.put(static_cast<std::uint8_t>(settings.isolate.read_only_files ? 1 : 0));
    out.put(static_cast<std::uint32_t>(settings.environment.size()));
    for (const environment_variable& v : settings.environment) {
        write_text(out, v.name);
        out.put(static_cast<std::uint8_t>(v.value ? 1 : 0));
        write_text(out, v.value.value_or(std::string{}));
    }
}

worker_settings read_settings(byte_reader& in) {
    worker_settings settings;
    settings.memory_limit = in.take<std::uint64_t>();
    settings.nice = in.take<int>();
    settings.isolate.no_network = in.take<std::uint8_t>() != 0;
    settings.isolate.read_only_files = in.take<std::uint8_t>() != 0;
    for (auto left = in.take<std::uint32_t>(); left > 0; --left) {
        environment_variable v;
        v.name = read_text(in);
        const bool has_value = in.take<std::uint8_t>() != 0;
        std::string value = read_text(in);
        if (has_value) v.value = std::move(value);
        settings.environment.push_back(std::move(v));
    }
    return settings;
}

void apply_before_initializer(const worker_settings& settings) {
    for (const environment_variable& v : settings.environment) {
        const int failed =
            v.value ? ::setenv(v.name.c_str(), v.value->c_str(), 1) : ::unsetenv(v.name.c_str());
        if (failed != 0) throw_errno("process_pool: .environment: cannot set " + v.name);
    }
    if (settings.nice != 0) {
        errno = 0;
        const int now = ::getpriority(PRIO_PROCESS, 0);
        if (errno != 0 || ::setpriority(PRIO_PROCESS, 0, now + settings.nice) != 0)
            throw_errno("process_pool: .nice: cannot add " + std::to_string(settings.nice) +
                        " to a worker's niceness; less than 0 takes rights");
    }
    if (settings.memory_limit != 0 && !under_sanitizer) {
        // Data, not address space: that would count the lane, and what is only reserved.
        const rlimit limit{settings.memory_limit, settings.memory_limit};
        if (::setrlimit(RLIMIT_DATA, &limit) != 0) throw_errno("process_pool: .memory_limit: setrlimit");
    }
}

void apply_after_initializer(const worker_settings& settings) {
    if (settings.isolate.no_network || settings.isolate.read_only_files)
        forbid_calls({.network = settings.isolate.no_network, .writing = settings.isolate.read_only_files});
}

} // namespace plait::detail
