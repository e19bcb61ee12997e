// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/descriptor_wait.hpp>

#include "base/spin_lock.hpp"
#include "strand/loop_engine.hpp"
#include "sys/errors.hpp"
#include "sys/unique_fd.hpp"

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <string>

namespace plait::detail {

/// The registrations of one wait with the loop that watches for it. They outlive the wait until the loop has
/// no event for them in its hands any more.
///
/// Owners: the wait, and each registration until the loop retires it.
class descriptor_watch {
  public:
    descriptor_watch(loop_engine& keeper, std::size_t count)
        : keeper_{keeper}, entries_{std::make_unique<entry[]>(count)} {
        keeper_.add_owner();
    }
    descriptor_watch(const descriptor_watch&) = delete;
    descriptor_watch& operator=(const descriptor_watch&) = delete;

    atomic<std::uint32_t>& word() noexcept { return lock_; }

    /// Under the lock. 0 or an errno.
    int begin(descriptor_wait& w, std::span<const awaited_descriptor> all) noexcept {
        wait_ = &w;
        for (const awaited_descriptor& a : all) {
            entry& e = entries_[count_];
            e.owner = this;
            e.wanted = (a.to_write ? std::uint32_t{EPOLLOUT} : std::uint32_t{EPOLLIN | EPOLLRDHUP}) |
                       EPOLLHUP | EPOLLERR;
            // A number of our own: another wait for the same file may be registered with this very loop.
            e.fd.reset(::fcntl(a.fd, F_DUPFD_CLOEXEC, 3));
            if (!e.fd) return errno;
            if (const int error = keeper_.try_watch(e.fd.get(), e)) return error;
            ++count_;
            owners_.fetch_add(1, order::relaxed); // the wait has its own
        }
        return 0;
    }
    /// Under the lock: nobody is told any more.
    void forget() noexcept { wait_ = nullptr; }

    /// By the wait, when it is over. Gives up its share.
    void end() noexcept {
        loop_engine& keeper = keeper_;
        for (std::size_t i = 0; i < count_; ++i) {
            keeper.unwatch(entries_[i].fd.get());
            entries_[i].fd.reset();
        }
        // The last of them may be retired, and this be gone, before the loop below is through: so ours is
        // last.
        for (std::size_t i = 0; i < count_; ++i) keeper.retire(entries_[i]);
        release();
        keeper.release_owner();
    }

  private:
    struct entry final : watch {
        void ready(std::uint32_t events) noexcept override {
            if ((events & wanted) != 0) owner->tell();
        }
        void retired() noexcept override { owner->release(); }
        descriptor_watch* owner = nullptr;
        std::uint32_t wanted = 0;
        unique_fd fd;
    };

    ~descriptor_watch() = default;
    void tell() noexcept {
        waiter* over = nullptr;
        {
            const spin_guard guard{lock_};
            // Once it is complete, or was withdrawn, the wait may be gone: it takes this lock before that.
            if (wait_ != nullptr && wait_->complete()) over = std::exchange(wait_, nullptr);
        }
        if (over != nullptr) over->post();
    }
    void release() noexcept {
        // acq_rel: the last one deletes what the others have used.
        if (owners_.fetch_sub(1, order::acq_rel) == 1) delete this;
    }

    loop_engine& keeper_;
    std::unique_ptr<entry[]> entries_;
    std::size_t count_ = 0;
    atomic<std::uint32_t> owners_{1};
    atomic<std::uint32_t> lock_{0};
    waiter* wait_ = nullptr; // guarded by lock_
};

bool descriptor_wait::await_suspend(std::coroutine_handle<> h) {
    auto& keeper = static_cast<loop_engine&>(running_scope().home->keeper()); // every keeper is a loop
    watch_ = new descriptor_watch{keeper, all_.size()};
    if (!arm(h, what_)) return false;
    const spin_guard guard{watch_->word()};
    error_ = watch_->begin(*this, all_);
    if (error_ != 0) {
        watch_->forget();
        complete_at_once();
        return settle();
    }
    if (!pend()) {
        watch_->forget();
        return settle();
    }
    return true; // and whoever ends it waits for the lock
}

// By a canceller that has won; it posts the task afterwards.
void descriptor_wait::unlink() noexcept {
    const spin_guard guard{watch_->word()};
    watch_->forget();
}

void descriptor_wait::await_resume() {
    if (watch_ != nullptr) std::exchange(watch_, nullptr)->end();
    check();
    if (error_ != 0)
        throw_errno(error_,
                    std::string{what_} + ": cannot watch " + std::to_string(all_.size()) + " descriptors");
}

descriptor_wait::~descriptor_wait() {
    if (watch_ != nullptr) watch_->end(); // never resumed
}

} // namespace plait::detail
