// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/wait.hpp>

#include <chrono>
#include <plait/time.hpp>
#include <string>

namespace plait::detail {
namespace {

// Is the wait over, now that state `i` is done?
bool decides(const waited& w, wait_until until) noexcept {
    return until == wait_until::first_completed ||
           (until == wait_until::first_exception && w.failed(*w.state));
}

// True: some of those that are done already decide.
bool decided(const std::vector<waited>& states, wait_until until) noexcept {
    for (const waited& w : states)
        if (w.state->done() && decides(w, until)) return true;
    return false;
}

wait_result sort_out(const std::vector<waited>& states) {
    wait_result result;
    for (std::size_t i = 0; i < states.size(); ++i)
        (states[i].state->done() ? result.done : result.pending).push_back(i);
    return result;
}

void add_all(arrivals& a, const std::vector<waited>& states) {
    for (std::size_t i = 0; i < states.size(); ++i) a.add(*states[i].state, i);
}

} // namespace

wait_result wait_for_states(const std::vector<waited>& states, wait_options options) {
    if (!decided(states, options.until)) {
        const time_point deadline = deadline_in(options.timeout);
        arrivals finished;
        add_all(finished, states);
        while (finished.pending() != 0) {
            const std::size_t i = finished.next(deadline);
            if (i == arrivals::nothing || decides(states[i], options.until)) break;
        }
    }
    return sort_out(states);
}

namespace {
task<> until_decided(arrivals& finished, const std::vector<waited>& states, wait_until until) {
    while (finished.pending() != 0) {
        // A statement of its own: GCC 12 never enters the loop when the await stands in the condition of the
        // `if`.
        const std::size_t i = co_await finished.next_async();
        if (decides(states[i], until)) break;
    }
}
} // namespace

task<wait_result> wait_for_states_async(std::vector<waited> states, wait_options options) {
    if (!decided(states, options.until)) {
        arrivals finished;
        add_all(finished, states);
        try {
            co_await timeout(options.timeout, until_decided(finished, states, options.until));
        } catch (const timeout_error&) { // what is done by now is the answer
        }
    }
    co_return sort_out(states);
}

void throw_unfinished(std::size_t unfinished, std::size_t all) {
    throw timeout_error{"as_completed: " + std::to_string(unfinished) + " of " + std::to_string(all) +
                        " unfinished when the timeout passed"};
}

} // namespace plait::detail
