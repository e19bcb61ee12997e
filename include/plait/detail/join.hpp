// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <exception>
#include <plait/detail/context.hpp>
#include <plait/task.hpp>

namespace plait::detail {

class join;

/// One child of a gather or race: its scope, and the work that begins it and that its end comes to.
struct join_child : work {
    join_child() noexcept : work{nullptr} {}

    struct child_scope : context {
        join* parent = nullptr;
    } scope;
    std::coroutine_handle<> frame;
    std::uint32_t owes = 0; // siblings that ended here before it began, and are counted out with it
    bool ran = false;
};

/// In memory of its own, which may go without further ado.
inline join_child* make_children(void* room, std::size_t n) noexcept {
    static_assert(std::is_trivially_destructible_v<join_child>);
    auto* const first = static_cast<join_child*>(room);
    for (std::size_t i = 0; i < n; ++i) ::new (static_cast<void*>(first + i)) join_child;
    return first;
}

/// What a child came to.
enum class child_end : unsigned char { value, failure, cancelled };

/// A task's wait for a fixed set of children: gather, gather_outcomes, race. The part without types.
///
/// Children are begun in order, at most `limit` at a time, as posted work; the last one that ends resumes the
/// parent. None is ever left behind: whatever stops them, the parent goes on only when all have ended.
///
/// On a pool they are forks: the first goes on where the parent leaves off, the others wait in the thread's
/// deque, the second on top, for this thread or for thieves. So a tree of gathers is walked depth first, and
/// no more of it is alive than its depth. Where a child ends, the next one begins at once if the deque gives
/// it back: that nobody has stolen it, its address on top says, and for a child that is not stolen nothing is
/// counted. A forked child has an entry in the registry only from its first wait on (enter_registry).
class [[gnu::visibility("default")]] join : public waiter {
  public:
    enum class mode : unsigned char {
        all,     ///< the first failure stops the rest
        settled, ///< nothing does
        first    ///< the first end, but for a cancellation, stops the rest
    };

    context* next_child() noexcept override;
    bool withdraw() noexcept override { return false; } // it ends when the children have ended

  protected:
    static constexpr std::size_t none = ~std::size_t{0};

    join(mode m, const char* what) noexcept : mode_{m}, what_{what} {}
    virtual ~join();

    /// Room for them; the caller then prepares each with `child(i)`.
    void use(join_child* room, std::size_t n) noexcept;
    /// The same in memory of its own.
    void allocate(std::size_t n);
    join_child& child(std::size_t i) noexcept { return children_[i]; }
    std::size_t size() const noexcept { return count_; }

    /// False: do not suspend. Then `check()` tells whether it may not, or need not. `driven`: the caller is a
    /// task, resumed by `drive`, which goes on with whatever is left in `current().next`.
    bool suspend(std::coroutine_handle<> h, std::size_t limit, bool driven);

    /// The child that decided: the first failure, or the first end. `none` if nothing did.
    std::size_t decisive() const noexcept { return decisive_.load(order::acquire); }
    bool any_cancelled() const noexcept { return any_cancelled_.load(order::acquire) != 0; }
    bool ran(std::size_t i) const noexcept { return children_[i].ran; }

    /// What child i, which ran, came to; and its failure.
    virtual child_end end_of(std::size_t i) noexcept = 0;
    virtual std::exception_ptr error_of(std::size_t i) noexcept = 0;

    /// After the wait: sends every failure but child `but`'s to the executor's handler.
    void report_failures(std::size_t but) noexcept;

    const mode mode_;
    const char* const what_;

  private:
    static void begin_child(work& w) noexcept;
    static void frame_ended(work& w) noexcept;
    static void enter_registry(context& c) noexcept;
    bool may_begin(join_child& c) noexcept;
    void fork_children(execution& e, std::size_t n) noexcept;
    void begin_next() noexcept;
    void note_end(join_child& c, child_end how) noexcept;
    void note_decision(join_child& c, child_end how) noexcept;
    bool count_out(join_child& c) noexcept;
    void go_on_from_child(execution& e) noexcept;
    void stop_children() noexcept;

    std::size_t count_ = 0;
    join_child* children_ = nullptr;
    join_child* allocated_ = nullptr;
    std::int64_t since_ = 0;       // when the children were made
    std::size_t visited_ = 0;      // by the canceller that holds our scope
    atomic<std::size_t> begun_{0}; // children given to the worker
    atomic<std::size_t> left_{0};  // children that have not ended, and the parent while it suspends
    atomic<std::size_t> decisive_{none};
    atomic<std::uint32_t> any_cancelled_{0};
    atomic<std::uint32_t> stopping_{0};
};

} // namespace plait::detail
