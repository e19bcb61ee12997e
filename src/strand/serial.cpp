// SPDX-License-Identifier: Apache-2.0
#include <plait/serial.hpp>

#include "strand/loop_engine.hpp"

#include <mutex>
#include <plait/errors.hpp>
#include <stdexcept>

namespace plait {
namespace {

using detail::work;

/// A task that is posted is run here and now, and driven on `loop_` until it has ended; every other work is a
/// step of one that is under way.
class serial_engine final : public detail::engine {
  public:
    explicit serial_engine(unhandled_handler handler)
        : engine{"serial", std::move(handler)},
          loop_{new detail::loop_engine{"serial", "plait-serial", {}}} {}

    void post(work& w) noexcept override {
        if (!w.unstarted_) return loop_->post(w);
        add_owner(); // the task may destroy its own executor; what follows here is still needed
        const detail::owner_ref<serial_engine> alive{this};
        if (w.posted_) {
            const std::lock_guard guard{mutex_};
            return loop_->run_here(w);
        }
        auto& task = static_cast<detail::job_core&>(w);
        task.keep(); // a posted coroutine has no future that would outlive its end
        {
            const std::lock_guard guard{mutex_};
            const driving here{drivers_};
            loop_->run_here(w);
            loop_->drive_until([&] { return task.is_done(); });
            if (!loop_->is_current()) loop_->run_left_behind(); // else whoever drives it does
        }
        task.let_go();
    }
    void post_child(work& w) noexcept override { loop_->post(w); }
    void leave() noexcept override {
        // Ended on another thread, where resume_on had taken it: the caller must look.
        if (!loop_->is_current()) loop_->wake();
        engine::leave();
    }
    bool is_current() const noexcept override { return loop_->is_current(); }
    bool single_threaded() const noexcept override { return true; }
    bool driven() const noexcept override { return drivers_.load(detail::order::acquire) != 0; }
    worker& keeper() override { return *loop_; }
    detail::time_point coarse_now() const noexcept override { return loop_->coarse_now(); }

    void end_locals() noexcept {
        const std::lock_guard guard{mutex_};
        loop_->clear_locals();
    }

  private:
    struct driving {
        explicit driving(detail::atomic<std::uint32_t>& n) noexcept : drivers{n} { drivers.fetch_add(1); }
        ~driving() { drivers.fetch_sub(1); }
        driving(const driving&) = delete;
        driving& operator=(const driving&) = delete;
        detail::atomic<std::uint32_t>& drivers;
    };
    ~serial_engine() override = default;
    void on_idle() noexcept override {}

    detail::atomic<std::uint32_t> drivers_{0}; // a task, and those that it has submitted

    std::recursive_mutex mutex_; // one task after another; a task may submit another one
    detail::owner_ref<detail::loop_engine> loop_;
};

} // namespace

struct serial::implementation {
    explicit implementation(serial_options& o) : engine{new serial_engine{std::move(o.on_unhandled)}} {}
    detail::owner_ref<serial_engine> engine;
};

serial::serial(serial_options options) : self_{new implementation{options}} {}

serial::~serial() {
    if (self_->engine->is_current())
        self_->engine->close(); // from its own task: the rest of that still runs
    else
        shutdown({});
    delete self_;
}

detail::worker& serial::pick() { return *self_->engine; }

void serial::shutdown(const shutdown_options& options) {
    serial_engine& engine = *self_->engine;
    if (options.wait && engine.is_current())
        throw std::logic_error{"serial::shutdown: a task of this executor cannot wait for its end; pass "
                               "{.wait = false}"};
    engine.close();
    if (options.cancel_pending || options.kill) {
        engine.cancel_pending();
        engine.stop_roots();
    }
    if (!options.wait) return;
    engine.wait_idle();
    engine.end_locals();
}

} // namespace plait
