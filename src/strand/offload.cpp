// SPDX-License-Identifier: Apache-2.0
#include <plait/offload.hpp>

#include "strand/housekeeping.hpp"

#include <condition_variable>
#include <mutex>
#include <new>
#include <plait/errors.hpp>
#include <pthread.h>
#include <thread>
#include <vector>

namespace plait::detail {

/// The helper threads, and the calls that wait for one.
///
/// A call is queued until a thread takes it, under the lock; from then on it belongs to that thread until the
/// task is posted. So a canceller either finds it queued, and takes it back, or leaves it alone.
class offload_threads {
  public:
    static constexpr std::size_t most = 32;

    enum class taken : unsigned char { yes, cancelled, failed };

    taken take(offload_core& c) noexcept {
        const std::lock_guard guard{mutex_};
        // As many threads as calls, up to the bound: `idle_` have nothing to do, or are about to look.
        if (idle_ <= waiting_ && threads_.size() < most) {
            try {
                threads_.reserve(threads_.size() + 1);
                threads_.emplace_back([this, mine = generation_] { run(mine); });
                ++idle_;
            } catch (...) {
                if (threads_.empty()) {
                    c.error_ = std::current_exception();
                    return taken::failed;
                }
            }
        }
        if (!c.pend()) return taken::cancelled;
        c.before_ = last_;
        (last_ ? last_->behind_ : first_) = &c;
        last_ = &c;
        ++waiting_;
        wake_.notify_one();
        return taken::yes;
    }

    bool withdraw(offload_core& c) noexcept {
        const std::lock_guard guard{mutex_};
        return !c.begun_ && c.waiter::withdraw();
    }

    // Under the lock.
    void remove(offload_core& c) noexcept {
        (c.before_ ? c.before_->behind_ : first_) = c.behind_;
        (c.behind_ ? c.behind_->before_ : last_) = c.before_;
        --waiting_;
    }

    void end() noexcept {
        std::vector<std::thread> ending;
        {
            const std::lock_guard guard{mutex_};
            if (any_engine()) return;
            ++generation_;
            idle_ = 0;
            ending.swap(threads_);
        }
        wake_.notify_all();
        for (std::thread& t : ending) t.join();
    }

  private:
    void run(unsigned mine) noexcept {
        ::pthread_setname_np(::pthread_self(), "plait-offload");
        std::unique_lock lock{mutex_};
        for (;;) {
            wake_.wait(lock, [&] { return first_ || generation_ != mine; });
            if (generation_ != mine) return;
            offload_core& c = *first_;
            remove(c);
            c.begun_ = true;
            --idle_;
            lock.unlock();
            execution& e = current();
            e.scope = &c.scope(); // this_task is the one that waits
            c.call();
            e.scope = nullptr;
            if (c.complete()) c.post(); // nobody else can have ended it; it is gone now
            lock.lock();
            if (generation_ == mine) ++idle_;
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    offload_core* first_ = nullptr; // guarded by mutex_, as all that follows
    offload_core* last_ = nullptr;
    std::size_t waiting_ = 0; // in the queue
    std::size_t idle_ = 0;    // threads that have no call
    std::vector<std::thread> threads_;
    unsigned generation_ = 0; // of the threads; those of an older one end
};

namespace {

// Never destroyed: an executor in static storage may be the last one.
offload_threads& the_threads() noexcept {
    alignas(offload_threads) static unsigned char storage[sizeof(offload_threads)];
    static offload_threads* const instance = ::new (storage) offload_threads;
    return *instance;
}

} // namespace

void end_offload_threads() noexcept { the_threads().end(); }

bool offload_core::await_ready() const {
    running_scope().check();
    return false;
}

bool offload_core::await_suspend(std::coroutine_handle<> h) noexcept {
    if (!arm(h, "offload")) return false;
    switch (the_threads().take(*this)) {
    case offload_threads::taken::yes:
        return true; // from here on the task may run elsewhere
    case offload_threads::taken::cancelled:
        break;
    case offload_threads::taken::failed:
        complete_at_once();
        break;
    }
    return settle();
}

bool offload_core::withdraw() noexcept { return the_threads().withdraw(*this); }

void offload_core::unlink() noexcept { the_threads().remove(*this); }

void offload_core::throw_not_called() const {
    if (error_ && !was_cancelled()) std::rethrow_exception(error_);
    throw cancelled{};
}

} // namespace plait::detail
