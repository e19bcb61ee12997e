// SPDX-License-Identifier: Apache-2.0
#include <plait/parallel.hpp>

#include "base/owner_ref.hpp"
#include "strand/parallel_run.hpp"

#include <algorithm>
#include <plait/cancelled.hpp>
#include <plait/errors.hpp>
#include <plait/this_task.hpp>
#include <stdexcept>
#include <string>

namespace plait::detail {
namespace {

/// Ends the run when the caller's scope is stopped, also while nobody takes part in it.
class caller_stop final : public stop_callback_node {
  public:
    explicit caller_stop(parallel_run& run) noexcept
        : stop_callback_node{[](stop_callback_node& n) noexcept {
              static_cast<caller_stop&>(n).run_.cancel();
          }},
          run_{run} {
        if (context* const scope = task_scope()) add_to(*scope);
    }
    ~caller_stop() { remove(); }
    caller_stop(const caller_stop&) = delete;
    caller_stop& operator=(const caller_stop&) = delete;

  private:
    parallel_run& run_;
};

void run_anywhere(in_process_executor& ex, const parallel_plan& plan, piece_function piece) {
    if (ex.blocks_itself())
        throw std::logic_error{
            std::string{plan.name} +
            ": called by a task of the very loop that would have to run it, and which waits "
            "meanwhile; use gather there, or another executor and offload"};
    this_task::checkpoint();
    const std::size_t wanted = std::min(ex.concurrency(), (plan.items + plan.grain - 1) / plan.grain);
    const owner_ref<parallel_run> run{new parallel_run{plan, wanted, piece}};
    worker& first = ex.admit(); // here all ends after a shutdown
    if (plan.items == 0) return first.leave();
    {
        const caller_stop stop{*run};
        const bool takes_part = first.is_current();
        run->begin(ex, first, takes_part);
        if (takes_part) {
            run->take_part_here();
            first.leave();
        }
        run->wait();
    }
    run->rethrow();
}

} // namespace

void run_loop(in_process_executor& ex, std::size_t n, const parallel_options& options, const char* name,
              piece_function piece) {
    run_anywhere(ex,
                 {.items = n,
                  .grain = std::max<std::size_t>(options.grain, 1),
                  .dealing = options.schedule == schedule::fixed ? parallel_plan::equal_parts
                             : options.grain != 0                ? parallel_plan::grains
                                                                 : parallel_plan::by_time,
                  .name = name},
                 piece);
}

void run_tasks(in_process_executor& ex, std::size_t n, const char* name, piece_function piece) {
    run_anywhere(ex, {.items = n, .grain = 1, .dealing = parallel_plan::grains, .name = name}, piece);
}

void throw_index_space(bool negative) {
    throw std::invalid_argument{negative ? "index_space: an extent is negative"
                                         : "index_space: more points than a std::size_t can count"};
}

void throw_scan_sizes(std::size_t in, std::size_t out) {
    throw std::invalid_argument{"inclusive_scan: " + std::to_string(in) + " items to read, but room for " +
                                std::to_string(out) + " sums; both ranges must have the same size"};
}

} // namespace plait::detail
