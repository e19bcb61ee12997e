// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support.hpp"

#include "base/inbox.hpp"
#include "sys/futex.hpp"

#include <coroutine>
#include <exception>
#include <memory>
#include <plait/detail/context.hpp>

/// A loop of a model thread's: as plait's own, what is posted lies in an inbox, and the loop sleeps on that.
class model_worker final : public plait::detail::worker {
  public:
    ~model_worker() { plait::testing::check(!inbox_.take(), "something was posted after its task's end"); }
    void post(plait::detail::work& w) noexcept override {
        const std::uint32_t* const word = inbox_.word();
        if (inbox_.push(w)) plait::detail::futex_wake(word);
    }
    /// Until so many tasks of this worker have ended.
    void run(int tasks) {
        plait::detail::current().worker = this;
        while (ended < tasks) {
            plait::detail::work* w = inbox_.take();
            if (!w && inbox_.try_sleep()) {
                plait::detail::futex_wait(inbox_.word(), decltype(inbox_)::asleep);
                inbox_.wake_up();
            }
            while (w) {
                plait::detail::work* const next = w->next_;
                w->run();
                w = next;
            }
        }
        plait::detail::current().worker = nullptr;
    }
    int ended = 0;                     // this worker's thread alone
    std::exception_ptr refused_with{}; // if there is any: how all ends that has not begun

    bool is_current() const noexcept override { return plait::detail::current().worker == this; }
    worker& keeper() override { return *this; }
    void enter() override {}
    void leave() noexcept override {}
    bool refusing() const noexcept override { return refused_with != nullptr; }
    std::exception_ptr refusal() const noexcept override { return refused_with; }
    plait::detail::failure_handler& failures() noexcept override { return *failures_; }
    void remember(plait::detail::job_core&) noexcept override {}
    void forget(plait::detail::job_core&) noexcept override {}

  private:
    struct unheard final : plait::detail::failure_handler {
        void tell(const std::exception_ptr&, const char*) noexcept override {}
    };
    struct let_go {
        void operator()(plait::detail::failure_handler* h) const noexcept { h->release_owner(); }
    };
    plait::detail::inbox<plait::detail::work> inbox_;
    std::unique_ptr<plait::detail::failure_handler, let_go> failures_{new unheard};
};

/// A coroutine with a scope of its own, on a model_worker.
class model_task {
  public:
    struct promise_type {
        plait::detail::context scope;
        plait::detail::task_node node{};
        model_worker* home = nullptr;

        model_task get_return_object() noexcept { return model_task{handle::from_promise(*this)}; }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() noexcept {
            ++home->ended;
            return {};
        }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const { throw; }
    };
    model_task(model_task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
    model_task& operator=(model_task&&) = delete;
    ~model_task() {
        if (handle_) handle_.destroy();
    }

    /// On the worker's own thread.
    void start(model_worker& w) {
        promise_type& p = handle_.promise();
        p.home = &w;
        p.scope.home = &w;
        p.scope.node = &p.node;
        plait::detail::current().worker = &w;
        plait::detail::resume(handle_, p.scope);
    }
    plait::detail::context& scope() const noexcept { return handle_.promise().scope; }

  private:
    using handle = std::coroutine_handle<promise_type>;
    explicit model_task(handle h) noexcept : handle_{h} {}
    handle handle_;
};

/// A task on a worker and a thread of its own, once it waits.
class waiting_task {
  public:
    explicit waiting_task(model_task t)
        : task_{std::move(t)}, owner_{"owner", [this] {
                                          task_.start(worker_);
                                          begun_.store(true);
                                          worker_.run(1);
                                      }} {
        while (!begun_.load()) plait::testing::yield();
    }
    plait::detail::context& scope() const noexcept { return task_.scope(); }
    void join() { owner_.join(); }

  private:
    model_worker worker_;
    model_task task_;
    plait::testing::atomic<bool> begun_{false};
    plait::testing::thread owner_;
};

/// As explored(), with what plait keeps for each thread.
inline void explored_tasks(const char* name, const std::function<void()>& test, unsigned length = 1) {
    plait::testing::model::swap_with_thread(&plait::detail::current(), sizeof(plait::detail::execution));
    explored(name, test, length);
}
