// SPDX-License-Identifier: Apache-2.0
#include <plait/testing_explore.hpp>

#include "testing/crash.hpp"
#include "testing/execution.hpp"
#include "testing/story.hpp"

#include <stdexcept>
#include <unordered_set>

namespace plait::testing {

class explorer {
  public:
    explorer(const exploration_options& options, const std::function<void()>& test)
        : options_{options}, test_{test} {
        result_.name_ = options.name;
        result_.preemptions_ = options.preemptions;
        result_.random_ = options.random_schedules != 0;
        limits_.preemptions = result_.random_ ? exploration_options::every_schedule : options.preemptions;
        limits_.steps = options.most_steps;
        limits_.depth = options.depth;
        limits_.random = result_.random_;
    }

    exploration run() {
        const model::crash_handlers handlers;
        if (!options_.replay.empty())
            replay();
        else if (limits_.random)
            run_random();
        else
            run_all();
        if (result_.failure_.empty()) result_.story_ = result_.summary() + "\n";
        return std::move(result_);
    }

  private:
    // False: no more.
    bool once(model::choices& path, std::uint64_t seed) {
        const model::crash_report here{options_.name, path, result_.schedules_};
        const bool good = execution_.run(test_, path, limits_, seed);
        result_.steps_ += execution_.steps();
        if (good) return true;
        // Once more, along the same choices, and this time written down.
        tell(path);
        return false;
    }

    void run_all() {
        model::choices path;
        bool first = true;
        do {
            if (!once(path, 0)) return;
            if (!execution_.redundant()) ++result_.schedules_;
            if (std::exchange(first, false) && !same_again(path)) return;
            if (result_.schedules_ >= options_.most_schedules) return;
        } while (path.next());
        result_.complete_ = true;
    }

    void run_random() {
        std::unordered_set<std::uint64_t> seen;
        for (std::uint64_t i = 0; i < options_.random_schedules; ++i) {
            model::choices path;
            if (!once(path, (options_.seed + i) * 0x9e3779b97f4a7c15ULL)) return;
            if (seen.insert(path.hash()).second) ++result_.schedules_;
            if (i == 0 && !same_again(path)) return;
        }
    }

    void replay() {
        model::choices path = model::choices::from(std::string{options_.replay});
        limits_.random = false;
        limits_.preemptions = exploration_options::every_schedule;
        if (once(path, 0)) result_.schedules_ = 1;
    }

    // The same choices have to make the same run; checked once, and at each choice that is repeated.
    bool same_again(const model::choices& path) {
        const std::uint64_t trace = execution_.trace();
        model::choices again = path;
        if (!once(again, 0)) return false;
        result_.steps_ -= execution_.steps();
        if (execution_.trace() == trace) return true;
        result_.failure_ =
            "the test is not deterministic: run twice with the same choices it took different steps. It "
            "must not depend on time, addresses, random numbers, or anything that a run leaves behind";
        result_.story_ = result_.failure_ + "\n";
        return false;
    }

    void tell(const model::choices& failed) {
        model::choices path;
        path.path = failed.path;
        for (model::choice& c : path.path) c.asleep = c.remaining = 0;
        result_.schedule_ = path.text();
        model::execution again;
        again.recording = true;
        model::run_limits limits = limits_;
        limits.random = false;
        limits.preemptions = exploration_options::every_schedule;
        again.run(test_, path, limits, 0);
        // With the names that labels give things.
        result_.failure_ = again.failure().empty() ? execution_.failure() : again.failure();
        result_.story_ =
            model::story(result_.name_, again, result_.schedules_, result_.schedule_, result_.failure_);
        if (again.failure().empty())
            result_.story_ += "It did not fail when it was run again: the test is not deterministic.\n";
    }

    const exploration_options& options_;
    const std::function<void()>& test_;
    model::run_limits limits_;
    model::execution execution_;
    exploration result_;
};

exploration explore(const exploration_options& options, const std::function<void()>& test) {
    if (options.preemptions < exploration_options::every_schedule)
        throw std::invalid_argument{"testing::explore: .preemptions is " +
                                    std::to_string(options.preemptions) + "; 0 or more, or every_schedule"};
    if (options.depth == 0) throw std::invalid_argument{"testing::explore: .depth is 0; at least 1"};
    if (options.most_steps == 0)
        throw std::invalid_argument{"testing::explore: .most_steps is 0; at least 1"};
    if (!test) throw std::invalid_argument{"testing::explore: no test"};
    if (model::execution::here()) throw std::logic_error{"testing::explore: called within an exploration"};
    return explorer{options, test}.run();
}

std::string exploration::summary() const {
    const auto grouped = [](std::uint64_t n) {
        std::string text = std::to_string(n);
        for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
        return text;
    };
    std::string text =
        name_ + ": " + grouped(schedules_) + (schedules_ == 1 ? " schedule, " : " schedules, ");
    if (!failure_.empty()) return text + "then a failure: " + failure_;
    if (random_) return text + "random";
    if (!complete_) return text + "not all of them";
    if (preemptions_ < 0) return text + "complete";
    return text + "bounded by " + std::to_string(preemptions_) +
           (preemptions_ == 1 ? " preemption" : " preemptions");
}

} // namespace plait::testing
