// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <exception>
#include <plait/detail/context.hpp>
#include <plait/task.hpp>

namespace plait::detail {

class join;

/// Of a child of a gather or race: what begins it, and what its end comes to.
struct join_work : work {
    join_work(function* begin, bool last) noexcept : work{begin}, is_last{last} {}

    const std::uint16_t is_last; // two bytes: with them what `work` and this begin with is one store
    std::uint32_t owes = 0;      // siblings that ended here before it began, and are counted out with it
};

/// The child, and its scope, a light one.
struct join_child : join_work, context {
    template <class T>
    join_child(join& in, task_access::frame_of<T> f, task_result<T>& r, bool last, work::function* begin,
               context::function* whole) noexcept
        : join_work{begin, last}, context{whole}, frame{f}, result{&r}, parent{in} {
        task_access::give_into<T>(f, r);
    }
    /// Before it is resumed.
    void use_own_scope() noexcept {
        promise_base& p = task_access::promise_of(frame);
        p.enter(*this);
        p.continue_with(*this);
    }

    const std::coroutine_handle<> frame;
    const result_base* const result;
    join& parent;
};

/// A task's wait for a fixed set of children: gather, gather_outcomes, race. The part without types.
///
/// Children are begun in order, at most `limit` at a time, as posted work; the last one that ends resumes the
/// parent. None is ever left behind: whatever stops them, the parent goes on only when all have ended.
///
/// On a pool they are forks: the first goes on where the parent leaves off, the others wait in the thread's
/// deque, the second on top, for this thread or for thieves. So a tree of gathers is walked depth first, and
/// no more of it is alive than its depth. Where a child ends, the next one begins at once if the deque gives
/// it back: that nobody has stolen it, its address on top says, and for a child that is not stolen nothing is
/// counted. A forked child's scope is light, and has an entry in the registry, and its parent's slot the join in
/// it, only from when the child first asks for its scope, to wait in it or to see whether it is stopped
/// (make_whole). Until then a stop is seen by the number of all stops having changed.
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
    static constexpr std::size_t child_size = sizeof(join_child);

    /// Of so many children, if that is known already.
    explicit join(mode m, std::size_t n = 0) noexcept // NOLINT(*-member-init)
        : mode_{m}, count_{n}, begun_{n}, left_{n} {}
    ~join() = default;

    /// They are there; from now on `suspend` takes care of them.
    void use(void* room) noexcept { children_ = static_cast<join_child*>(room); }
    void use(void* room, std::size_t n) noexcept {
        use(room);
        count_ = n;
        begun_.store(n, order::relaxed);
        left_.store(n, order::relaxed);
    }
    /// In the i-th place of `room`, for n. The first is never forked.
    template <class T>
    void make_child(void* room, std::size_t i, std::size_t n, task_access::frame_of<T> frame,
                    task_result<T>& r) noexcept {
        ::new (static_cast<void*>(static_cast<join_child*>(room) + i))
            join_child{*this, frame, r, i + 1 == n, i == 0 ? at_end() : &begin_fork, &make_whole};
        if (i == 0) static_cast<join_child*>(room)->use_own_scope();
    }
    bool taken_over() const noexcept { return children_ != nullptr; }
    std::size_t size() const noexcept { return count_; }

    /// Begins the `first` of them. False: do not suspend. Then `check()` tells whether it may not, or need not.
    /// `driven`: the caller is a task, resumed by `drive`, which goes on with whatever is left in
    /// `current().next`.
    bool suspend(std::coroutine_handle<> h, std::size_t first, bool driven);
    /// The same for two, of a task: most of what forks has two.
    void suspend_pair(std::coroutine_handle<> h);

    /// In `await_resume`, of `n` children: the last one may have ended as a task does that is awaited.
    void begin_after(std::size_t n) noexcept {
        if (n > 1 && current().light == &children_[n - 1]) current().light = &scope();
    }

    /// The child that decided: the first failure, or the first end. `none` if nothing did.
    std::size_t decisive() const noexcept { return decisive_.load(order::acquire) - 1; }
    bool any_cancelled() const noexcept { return any_cancelled_.load(order::acquire) != 0; }
    /// All have begun, and no end was noted: none has failed, but perhaps a last one that was alone, and none was
    /// to decide.
    bool all_values() const noexcept { return noted_.load(order::acquire) == 0; }

    /// What child i has thrown; null if it has not.
    virtual std::exception_ptr error_of(std::size_t i) noexcept = 0;

    /// After the wait: sends every failure but child `but`'s to the executor's handler.
    void report_failures(std::size_t but) noexcept;

    const mode mode_;                 // with the next four: one store
    bool plain_ = mode_ == mode::all; // and all begin at once

  private:
    // What a child notes it notes before it is counted out, and it is read when all have been: left_ orders
    // that. Whose end is decisive_ the exchange says. stopping_ is set before any child is stopped, so one
    // that begins in the place of one that was sees it. begun_ only numbers those that are posted, and the
    // post publishes them.
    atomic<unsigned char> any_cancelled_{0};
    atomic<unsigned char> stopping_{0};
    atomic<std::uint32_t> noted_{0}; // an end that was no value, or that decides; or none has begun
    join_child* children_ = nullptr;
    std::size_t count_;
    atomic<std::size_t> begun_;       // children given to the worker
    atomic<std::size_t> left_;        // children that have not ended, and the parent while it suspends
    std::size_t visited_ = 0;         // by the canceller that holds our scope
    atomic<std::size_t> decisive_{0}; // its number and 1; 0: nothing has decided
    worker* home_;                    // the parent's
    std::uint64_t stops_;             // of forks: how many there had been when the parent was not stopped
    std::int64_t since_;              // when the children were made; not of forks

    static void begin_child(work& w) noexcept;
    static void begin_fork(work& w) noexcept;
    static void resume_forker(work& w) noexcept;
    static void make_whole(context& c) noexcept;
    void begin_first(execution& e) noexcept;
    void begin_forks(execution& e, std::size_t n) noexcept;
    void fork_others(execution& e, std::size_t n) noexcept;
    void make_children_whole() noexcept;
    bool stopped(const join_child& c) const noexcept;
    bool may_begin(join_child& c) noexcept;
    bool may_begin_fork(execution& e, join_child& c) noexcept;
    bool begin_late(execution& e, join_child& c) noexcept;
    void begin_next() noexcept;
    void begin_more(const join_child& c) noexcept;
    static bool take_next(execution& e, join_child& c) noexcept;
    void begin_next_or_leave(execution& e, join_child& first) noexcept;
    work::function* at_end() const noexcept { return plain_ ? &light_child_ended : &child_ended; }
    bool is_alone(const join_child& c) const noexcept;
    static void light_child_ended(work& w) noexcept;
    static void child_ended(work& w) noexcept;
    void note_end(join_child& c) noexcept;
    void note_decision(join_child& c) noexcept;
    bool count_out(join_child& c) noexcept;
    void go_on_from_child(execution& e) noexcept;
    void go_on_otherwise(execution& e) noexcept;
    void stop_children() noexcept;

    const char* what() const noexcept;
    bool stand_light(execution& e, std::coroutine_handle<> h) noexcept;
    void suspend_pair_whole(std::coroutine_handle<> h);
    bool suspend_whole(execution& e, std::coroutine_handle<> h, std::size_t first, bool driven);
};

} // namespace plait::detail
