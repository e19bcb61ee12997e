// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/invoke.hpp>

namespace plait::detail {

/// A posted function, as queues hold it. Nobody can wait for it, cancel it or time it out, so it is a cache
/// line with the function in it: it has a scope, and an entry in the registry, only while it runs.
///
/// Threads:  made by whoever posts it, from then on its own; whoever runs it deletes it.
/// Errors:   the function's go to the executor's unhandled handler; a `cancelled` goes nowhere.
class [[gnu::visibility("default")]] posted : public work, public pooled {
  public:
    worker& owner() const noexcept { return *owner_; }

  protected:
    posted(worker& owner, std::source_location created, function* f) noexcept;
    ~posted() = default;

    /// What `this_task` and the registry show while the function runs.
    class [[gnu::visibility("default")]] running : context {
      public:
        explicit running(const posted& self) noexcept;
        ~running();
        running(const running&) = delete;
        running& operator=(const running&) = delete;

      private:
        execution& thread_; // a function, unlike a coroutine, stays on its thread
        context* const outer_;
    };

    /// The function is gone. The last that a posted function does is to leave its executor.
    static void end(worker& owner, const std::exception_ptr& failure) noexcept;

    worker* const owner_;

  private:
    std::source_location created_;
    std::uint64_t parent_;
    time_point deadline_; // of the task that posted it
};

template <class F>
class posted_call final : public posted {
  public:
    template <class G>
    posted_call(worker& owner, std::source_location created, G&& fn)
        : posted{owner, created, &run_queued}, fn_(static_cast<G&&>(fn)) {}

  private:
    static void run_queued(work& w) noexcept {
        auto& self = static_cast<posted_call&>(w);
        worker& owner = *self.owner_;
        std::exception_ptr failure;
        if (owner.refusing()) {
            failure = owner.refusal();
            delete &self;
        } else {
            const running here{self};
            try {
                static_cast<void>(detail::invoke(std::move(self.fn_)));
            } catch (...) {
                failure = std::current_exception();
            }
            delete &self;
        }
        end(owner, failure);
    }

    [[no_unique_address]] F fn_;
};

} // namespace plait::detail
