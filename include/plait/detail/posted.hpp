// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <plait/detail/context.hpp>
#include <plait/detail/frame.hpp>
#include <plait/detail/invoke.hpp>
#include <type_traits>

namespace plait::detail {

/// A posted function, as queues hold it. Nobody can wait for it, cancel it or time it out, so it is a cache
/// line with the function in it: it has a scope, and an entry in the registry, only while it runs.
///
/// Threads:  made by whoever posts it, from then on its own; whoever runs it deletes it.
/// Errors:   the function's go to the executor's unhandled handler; a `cancelled` goes nowhere.
class [[gnu::visibility("default")]] posted : public work, public pooled {
  public:
    worker& owner() const noexcept { return *owner_; }
    /// The function is gone. The last that a posted function does is to leave its executor.
    static void end(worker& owner, const std::exception_ptr& failure) noexcept;

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

    worker* const owner_;

  private:
    std::source_location created_;
    std::uint64_t parent_;
    time_point deadline_; // of the task that posted it
};

/// A posted function by value, for queues that keep it so: a cache line. Without a function, the address of
/// a work.
struct alignas(64) posted_slot {
    using function = void(posted_slot&);
    static constexpr std::size_t room = 32;

    function* run = nullptr;
    std::source_location created{};
    std::uint64_t parent = 0;
    time_point deadline = time_point::max();
    alignas(8) std::array<unsigned char, room> closure; // left as it is

    void hold(work& w) noexcept { ::new (static_cast<void*>(closure.data())) work* {&w}; }
    work* held() noexcept { return *reinterpret_cast<work**>(closure.data()); }
};

/// It can be copied like memory, so that no code of the user's runs where it is queued.
template <class F>
inline constexpr bool posted_by_value =
    std::is_trivially_copyable_v<F> && sizeof(F) <= posted_slot::room && alignof(F) <= 8;

template <class F>
    requires posted_by_value<F>
posted_slot by_value(const F& fn, std::source_location created) noexcept {
    posted_slot s;
    s.run = [](posted_slot& self) {
        static_cast<void>(detail::invoke(std::move(*reinterpret_cast<F*>(self.closure.data()))));
    };
    s.created = created;
    ::new (static_cast<void*>(s.closure.data())) F{fn};
    return s;
}

/// One thread's place for running such functions, one at a time: a scope and an entry in the registry that
/// serve them all. Who runs it counts the function out of its executor.
class [[gnu::visibility("default")]] posted_here : public work {
  public:
    /// On the thread itself; `owner` is whom its functions were posted to.
    explicit posted_here(worker& owner) noexcept;
    ~posted_here();
    posted_here(const posted_here&) = delete;
    posted_here& operator=(const posted_here&) = delete;

    posted_slot slot;

  private:
    static void run_slot(work& w) noexcept;

    worker& owner_;
    execution& thread_;
    task_node& node_;
    const bool visible_; // else the node is the one that everybody shares who has none
    std::optional<context> scope_;
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
