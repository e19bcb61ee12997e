// SPDX-License-Identifier: Apache-2.0
#include <plait/remote_error.hpp>

#include "sys/errors.hpp"

#include <utility>

namespace plait {
namespace {

std::string describe(const worker_lost::details& d) {
    std::string text = "worker " + std::to_string(d.worker) + " (pid " + std::to_string(d.pid) + ") ";
    if (d.signal != 0)
        text += "was killed by " + detail::signal_text(d.signal);
    else if (d.status >= 0)
        text += "ended with exit status " + std::to_string(d.status);
    else
        text += "died (how is not known)";
    if (d.task != 0) {
        text += " in task #" + std::to_string(d.task);
        if (!d.function.empty()) text += " '" + d.function + "'";
        text += " (attempt " + std::to_string(d.attempts) + " of " + std::to_string(d.attempts) + ")";
    }
    if (!d.reason.empty()) text += "; " + d.reason;
    return text;
}

} // namespace

remote_error::remote_error(details d) : std::runtime_error{d.message}, details_{std::move(d)} {}

worker_lost::worker_lost(details d) : std::runtime_error{describe(d)}, details_{std::move(d)} {}

} // namespace plait
