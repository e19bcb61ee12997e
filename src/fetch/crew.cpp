// SPDX-License-Identifier: Apache-2.0
#include "fetch/crew.hpp"

#include <plait/errors.hpp>
#include <plait/loop_pool.hpp>
#include <plait/serial.hpp>
#include <plait/thread_pool.hpp>

#include <atomic>
#include <utility>

namespace plait::fetch {
namespace {

/// Numbers for the workers of a crew, in the order in which they first do something.
class worker_numbers {
  public:
    [[nodiscard]] std::uint32_t mine() {
        thread_local std::pair<const worker_numbers*, std::uint32_t> known{nullptr, 0};
        if (known.first != this) known = {this, next_.fetch_add(1, std::memory_order_relaxed)};
        return known.second;
    }

  private:
    std::atomic<std::uint32_t> next_{0};
};

/// The run's own loop does everything.
class loop_crew final : public crew {
  public:
    loop_crew(work_options common, std::size_t places) : shop_(std::move(common)), places_(places) {}
    task<fetched> perform(order what) override { return perform_async(shop_, std::move(what)); }
    std::size_t places() const noexcept override { return places_; }
    underway look() override { return look_at(shop_); }
    std::size_t workers() const noexcept override { return 1; }

  private:
    workshop shop_;
    std::size_t places_;
};

/// The calling thread, one after the other.
class serial_crew final : public crew {
  public:
    serial_crew(work_options common, give_up asked) : shop_(std::move(common)), asked_(asked) {}
    task<fetched> perform(order what) override {
        auto done = serial_.submit(
            [this, &what] { return fetch::perform(shop_, what, asked_.ask, asked_.argument); });
        fetched answer = co_await std::move(done);
        if (answer.status == 0 && answer.failure < 0 && !answer.exists && !answer.busy &&
            answer.disk_error == 0)
            throw cancelled{};
        co_return answer;
    }
    std::size_t places() const noexcept override { return 1; }
    underway look() override { return look_at(shop_); }
    std::size_t workers() const noexcept override { return 1; }
    bool blocks() const noexcept override { return true; }

  private:
    workshop shop_;
    give_up asked_;
    serial serial_;
};

/// Threads that block, each on a connection of its own.
class thread_crew final : public crew {
  public:
    thread_crew(work_options common, std::size_t workers)
        : shop_(std::move(common)),
          workers_(workers),
          pool_{{.workers = static_cast<int>(workers), .name = "plait-fetch"}} {}
    task<fetched> perform(order what) override {
        // With an order of its own: a run that is stopped does not wait for what its threads are at.
        auto done = pool_.submit([this, what = std::move(what)] {
            fetched answer = fetch::perform(shop_, what);
            answer.worker = numbers_.mine();
            return answer;
        });
        co_return co_await done;
    }
    std::size_t places() const noexcept override { return workers_; }
    underway look() override { return look_at(shop_); }
    std::size_t workers() const noexcept override { return workers_; }

  private:
    workshop shop_;
    std::size_t workers_;
    worker_numbers numbers_;
    thread_pool pool_;
};

/// A loop on each of several threads.
class loops_crew final : public crew {
  public:
    loops_crew(work_options common, std::size_t workers, std::size_t places)
        : shop_(std::move(common)),
          workers_(workers),
          places_(places),
          pool_{{.workers = static_cast<int>(workers)}} {}
    task<fetched> perform(order what) override {
        auto done = pool_.submit([this, what = std::move(what)] { return there(what); });
        co_return co_await done;
    }
    std::size_t places() const noexcept override { return places_; }
    underway look() override { return look_at(shop_); }
    std::size_t workers() const noexcept override { return workers_; }

  private:
    task<fetched> there(const order& what) {
        fetched answer = co_await perform_async(shop_, what);
        answer.worker = numbers_.mine();
        co_return answer;
    }

    workshop shop_;
    std::size_t workers_;
    std::size_t places_;
    worker_numbers numbers_;
    loop_pool pool_;
};

} // namespace

std::unique_ptr<crew> make_crew(const options& what, work_options common, give_up asked) {
    switch (what.executor) {
    case strategy::serial:
        return std::make_unique<serial_crew>(std::move(common), asked);
    case strategy::threads:
        return std::make_unique<thread_crew>(std::move(common), what.workers);
    case strategy::loops:
        return std::make_unique<loops_crew>(std::move(common), what.workers, what.connections);
    case strategy::processes:
        return make_process_crew(std::move(common), what.workers);
    case strategy::loop:
        break;
    }
    return std::make_unique<loop_crew>(std::move(common), what.connections);
}

} // namespace plait::fetch
