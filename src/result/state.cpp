// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/state.hpp>

#include "base/look.hpp"

#include <future>
#include <plait/detail/context.hpp>
#include <plait/detail/parking_place.hpp>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait::detail {
namespace {

// A thread blocked in get() or wait().
struct blocked_thread final : completion {
    bool claim() noexcept override { return true; }
    void fire() noexcept override { place.wake(); }
    parking_place place;
};

} // namespace

bool state_base::wait_long(time_point deadline) {
    before_blocking(deadline);
    if (done()) return true;
    if (deadline == time_point::max()) {
        attend();
        if (done()) return true;
    }
    // At the word itself: whoever completes it then has nobody to tell. The thread that is to do it most likely has been
    // woken on this processor, and cannot begin before we give that away.
    constexpr int looks_before_that = 0;
    if (look_until([this] { return done(); }, deadline, looks_before_that)) return true;
    blocked_thread here;
    if (add_hook(here) == added::ready) return true;
    // Wake-up: either the completer finds the hook, and wakes us, or add_hook has found the result.
    if (here.place.sleep_until(deadline, true)) return true;
    if (remove_hook(here)) return false;
    // Taken meanwhile: `here` must live until fire() is through.
    here.place.sleep();
    return true;
}

void state_base::before_blocking(time_point deadline) {
    if (done()) return;
    if (deadline == time_point::max()) help();
    if (done()) return;
    // Only a loop's own thread asks: to any other the task may end just now, and its executor be gone with
    // it.
    const worker* const here = current().worker;
    if (!here || !here->single_threaded()) return;
    if (worker* const p = producer(); p && p->single_threaded() && p->is_current())
        throw std::logic_error{
            "future: a blocking wait, on the loop that has to produce the value, would never end; "
            "write `co_await` instead of get()"};
}

void state_base::complete(const std::exception_ptr& error, bool was_cancelled) noexcept {
    if (error && !was_cancelled) return complete_failed();
    const auto done =
        word_.complete(was_cancelled ? word_t::cancelled : 0, [this]() noexcept { return hooks(); });
    if (done.destroy) destroy();
    word_t::fire(done.hooks);
}

// Apart, since telling the hook needs the state to outlive its completion.
void state_base::complete_failed() noexcept {
    add_owner();
    keep_handler();
    unread_ = true;
    const auto done = word_.complete(0, [this]() noexcept { return hooks(); });
    if (done.dropped) report_unread(); // there is no future that could have taken it
    word_t::fire(done.hooks);
    release_owner();
}

void state_base::report_unread() noexcept {
    unread_ = false;
    unobserved(failure());
}

void state_base::unobserved(const std::exception_ptr&) noexcept {}

bool is_cancellation(const std::exception_ptr& error) noexcept {
    if (!error) return false;
    try {
        std::rethrow_exception(error);
    } catch (const plait::cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

std::exception_ptr cancelled_error() noexcept { return std::make_exception_ptr(plait::cancelled{}); }

void throw_no_state() { throw std::future_error{std::future_errc::no_state}; }

} // namespace plait::detail
