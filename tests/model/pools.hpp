// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tasks.hpp"

#include <plait/detail/posted.hpp>
#include <plait/executor.hpp>
#include <plait/future.hpp>

#include "shadow/std_threads.hpp"
#include "strand/pool_engine.hpp"
#undef thread
#undef mutex

// A model's pool of threads. What it needs, each source that includes this has to name: `with:` and `small:`.

// What the engines of a program keep in common: nothing here.
namespace plait::detail {
std::uint32_t name_this_thread(const char*, unsigned) noexcept { return 0; }
void engine_begins() noexcept {}
void engine_ended() noexcept {}
worker& acquire_shared_keeper() { std::terminate(); }
void release_shared_keeper() noexcept {}
} // namespace plait::detail

/// As thread_pool, without its options.
class pool final : public plait::in_process_executor {
  public:
    explicit pool(std::size_t workers = 2)
        : engine{new plait::detail::pool_engine{workers, "model", {}, plait::unhandled_handler{}}} {
        plait::detail::forget_thread_numbers();
        engine->start();
    }
    ~pool() { engine->release_owner(); }
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    template <class F>
    void post(F fn) {
        engine->post_by_value(plait::detail::posted_as<F>::record(fn));
    }
    void shutdown() {
        engine->close();
        engine->wait_idle();
        engine->stop_and_join();
    }
    std::size_t concurrency() const noexcept override { return engine->size(); }

    plait::detail::pool_engine* const engine;

  private:
    plait::detail::worker& pick() override { return *engine; }
    plait::detail::worker* counting_queue() override {
        engine->refuse_if_closed();
        return engine;
    }
    void count_in_and_post(plait::detail::work& w) override { engine->count_in_and_post(w); }
};

/// Waited for by a thread of the pool that does not say so: nobody takes its place.
class flag {
  public:
    void raise() noexcept {
        up_.store(1, plait::detail::order::release);
        plait::detail::futex_wake_all(up_.address());
    }
    void wait() const noexcept {
        while (up_.load(plait::detail::order::acquire) == 0) plait::detail::futex_wait(up_.address(), 0);
    }

  private:
    plait::detail::atomic<std::uint32_t> up_{0};
};

/// A fork, and who waits for it so.
struct forked_one : plait::detail::work {
    forked_one() noexcept : work{&told} {}
    static void told(work& w) noexcept { static_cast<forked_one&>(w).ran.raise(); }
    void fork_and_wait() {
        plait::testing::check(plait::detail::current().forks->fork(*this));
        ran.wait();
    }
    flag ran;
};

/// What it returns or throws; then the pool has ended.
template <class Body>
auto run_on(pool& p, Body body) {
    auto f = p.submit(std::move(body));
    f.wait();
    p.shutdown();
    return f.get();
}

/// As explored_tasks(), of what is too long to be walked through.
inline void explored_at_random(const char* name, const std::function<void()>& test) {
    using plait::detail::this_thread_number;
    plait::testing::model::swap_with_thread(&plait::detail::current(), sizeof(plait::detail::execution));
    this_thread_number = 0; // each thread's first one; those of explored_tasks() share a lane
    plait::testing::model::swap_with_thread(&this_thread_number, sizeof this_thread_number);
    const plait::testing::exploration r =
        plait::testing::explore({.name = name, .random_schedules = 3000, .seed = 7}, test);
    std::printf("model: %s\n", r.summary().c_str());
    EXPECT_TRUE(r) << r.story();
}
