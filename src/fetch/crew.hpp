// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include <plait/fetch.hpp>
#include <plait/task.hpp>

#include "fetch/download.hpp"

namespace plait::fetch {

/// Those who do the requests: a loop, loops, threads, processes, or the calling thread itself.
class crew {
  public:
    virtual ~crew() = default;
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    /// Does an order. Awaited on the run's own loop. Cancelled, it throws `cancelled`, and the worker gives
    /// up too.
    [[nodiscard]] virtual task<fetched> perform(order what) = 0;
    /// How many orders may be under way at once.
    [[nodiscard]] virtual std::size_t places() const noexcept = 0;
    [[nodiscard]] virtual std::size_t workers() const noexcept = 0;
    /// What has come of orders that are under way.
    struct underway {
        std::uint64_t bytes = 0;
        std::uint64_t announced = 0; // how many have told their length
        std::uint64_t lengths = 0;   // and the sum
    };
    [[nodiscard]] virtual underway look() = 0;
    /// Ends all orders, if that takes more than cancelling who awaits them; false if it does not.
    virtual bool abandon_all() { return false; }
    /// perform() holds up the run's loop until it is done.
    [[nodiscard]] virtual bool blocks() const noexcept { return false; }

  protected:
    crew() = default;
    [[nodiscard]] static underway look_at(workshop& shop) noexcept {
        const traffic& now = shop.traffic();
        return {now.bytes.load(std::memory_order_relaxed), now.announced.load(std::memory_order_relaxed),
                now.lengths.load(std::memory_order_relaxed)};
    }
};

/// Asked now and then by a crew that blocks: true if it is to give up.
struct give_up {
    bool (*ask)(void*) = nullptr;
    void* argument = nullptr;
};

/// `what` as it has been fitted to the limits.
[[nodiscard]] std::unique_ptr<crew> make_crew(const options& what, work_options common, give_up asked);

/// In crew_processes.cpp.
[[nodiscard]] std::unique_ptr<crew> make_process_crew(work_options common, std::size_t workers);

} // namespace plait::fetch
