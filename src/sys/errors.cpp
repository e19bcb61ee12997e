// SPDX-License-Identifier: Apache-2.0
#include "sys/errors.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace plait::detail {

std::string errno_text(int error) {
    // The *_np forms return constant, untranslated text: no locale, no static buffer, safe from any thread.
    const char* description = ::strerrordesc_np(error);
    const char* name = ::strerrorname_np(error);
    if (description == nullptr || name == nullptr) {
        return "unknown error (" + std::to_string(error) + ")";
    }
    return std::string{description} + " (" + name + ")";
}

std::string signal_text(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name != nullptr ? std::string{"SIG"} + name : "signal " + std::to_string(signal);
}

void throw_errno(int error, const std::string& attempted) {
    throw std::system_error{error, std::system_category(), attempted};
}

void throw_errno(const std::string& attempted) { throw_errno(errno, attempted); }

} // namespace plait::detail
