// SPDX-License-Identifier: Apache-2.0
#include "testing/crash.hpp"

#include <array>
#include <charconv>
#include <csignal>
#include <mutex>
#include <unistd.h>

namespace plait::testing::model {

namespace {

thread_local const crash_report* now = nullptr;

constexpr std::array signals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
std::mutex handlers_mutex;
int handlers = 0; // guarded by handlers_mutex, as the next
std::array<struct sigaction, signals.size()> before;

void restore() noexcept {
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before[i], nullptr);
}

// The instruction is run again, or abort() goes on, and the signal comes to who had it before.
void report(int signal) {
    restore();
    crash_report::write(signal);
}

// What may be used in a signal handler.
class line {
  public:
    ~line() {
        const auto written = ::write(STDERR_FILENO, text_.data(), size_);
        static_cast<void>(written);
    }
    line& operator<<(std::string_view s) noexcept {
        for (const char c : s) {
            if (size_ == text_.size()) return *this;
            text_[size_++] = c;
        }
        return *this;
    }
    line& operator<<(std::uint64_t n) noexcept {
        std::array<char, 24> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
        return *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.data())};
    }

  private:
    std::array<char, 4096> text_{};
    std::size_t size_ = 0;
};

} // namespace

crash_report::crash_report(std::string_view name, const choices& path,
                           std::uint64_t schedules_before) noexcept
    : name_{name}, path_{path}, before_{schedules_before}, outer_{now} {
    now = this;
}
crash_report::~crash_report() { now = outer_; }

void crash_report::write(int signal) noexcept {
    if (!now) return;
    line out;
    out << now->name_ << ": the test was ended by signal " << static_cast<std::uint64_t>(signal)
        << "\nThe schedule (number " << now->before_ + 1 << "). To run this schedule alone: .replay = \"";
    now->path_.describe(
        now->path_.depth,
        [&out](char thread, std::uint64_t times) {
            out << std::string_view{&thread, 1};
            if (times > 1) out << times;
        },
        [&out](std::uint64_t value) { out << "~" << value << "."; });
    out << "\"\n";
}

crash_handlers::crash_handlers() {
    const std::lock_guard guard{handlers_mutex};
    if (handlers++ != 0) return;
    struct sigaction action{};
    action.sa_handler = &report;
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before[i]);
}

crash_handlers::~crash_handlers() {
    const std::lock_guard guard{handlers_mutex};
    if (--handlers == 0) restore();
}

} // namespace plait::testing::model
