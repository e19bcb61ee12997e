// SPDX-License-Identifier: Apache-2.0
#include "strand/failures.hpp"

#include <cstdlib>
#include <cxxabi.h>
#include <mutex>
#include <unistd.h>

namespace plait::detail {
namespace {

// The executor's own handler, or one line on stderr.
class executor_failures final : public failure_handler {
  public:
    executor_failures(const char* kind, unhandled_handler handler)
        : kind_{kind}, handler_{std::move(handler)} {}

    void tell(const std::exception_ptr& error, const char* task_name) noexcept override {
        try {
            if (handler_) {
                const std::lock_guard guard{mutex_};
                handler_(unhandled_failure{error, task_name, kind_});
                return;
            }
            std::string line = std::string{"plait: "} + kind_ + ": task '" +
                               (task_name ? task_name : "unnamed") +
                               "' failed, and nobody awaits it: " + describe(error) + "\n";
            // One write: lines of several threads do not mix. Nothing can be done if stderr is closed.
            [[maybe_unused]] const auto n = ::write(STDERR_FILENO, line.data(), line.size());
        } catch (...) {
            // No memory for the message, or the handler broke its promise not to throw: there is nobody left
            // to tell.
        }
    }

  private:
    const char* kind_;
    unhandled_handler handler_;
    std::mutex mutex_;
};

} // namespace

failure_handler_ptr make_failure_handler(const char* kind, unhandled_handler handler) {
    return failure_handler_ptr{new executor_failures{kind, std::move(handler)}};
}

std::string describe(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (const cancelled& c) {
        return c.what();
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        if (!type) return "unknown exception";
        const std::unique_ptr<char, void (*)(void*)> name{
            abi::__cxa_demangle(type->name(), nullptr, nullptr, nullptr), &std::free};
        return std::string{"exception of type "} + (name ? name.get() : type->name());
    }
}

} // namespace plait::detail
