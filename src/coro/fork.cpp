// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/fork.hpp>

#include "base/spin_lock.hpp"
#include "sys/futex.hpp"

#include <plait/blocking_region.hpp>
#include <utility>

namespace plait::detail {

void fork_group::run_stolen(work& w) noexcept {
    fork& f = static_cast<fork&>(w);
    fork_group& g = *f.group;
    execution& e = current();
    f.base = e.forks->position();
    f.thief.store(e.forks, order::seq_cst); // release: with `base`
    g.call(f, e);
    f.thief.store(nullptr, order::seq_cst); // before whatever we push next: see help_thieves()
    // acq_rel: the owner sees what the fork did. It may go on at once, and the group be gone.
    const std::uint32_t* const word = g.ended_.address();
    if ((g.ended_.fetch_add(1, order::acq_rel) & sleeping) != 0) futex_wake(word);
}

namespace {
constinit atomic<std::uint32_t> making_whole{0};
}

// By a fork. All forks of a group share its scope, so others may do it at the same time. Those further out come
// first.
void fork_group::make_whole(context& c) noexcept {
    const spin_guard guard{making_whole};
    context* top = nullptr;
    for (context* at = &c; at->light(); at = static_cast<fork_scope*>(at)->parent)
        at->previous = std::exchange(top, at); // the way back
    while (context* const at = top) {
        top = at->previous;
        const context& parent = *static_cast<fork_scope*>(at)->parent;
        at->become_whole(parent, *at->home, *parent.node);
    }
}

void fork_group::join_several() noexcept {
    // Elsewhere, after the task has moved: the others of the pool have to end them. Here: not what others have
    // forked since, of which one may lie on top; that is not to be waited for here.
    if (belongs_to(current()))
        while (pending_ != 0 && thread_->forks->pop_at(newest_->position)) {
            --pending_;
            take_back(*newest_);
        }
    if (pending_ != 0) wait_for_thieves();
}

void fork_group::skip(fork& f) noexcept {
    f.call_(f, fork::what::destroy);
    core_.if_made()->note_cancelled(); // it is stopping
}

// Runs a fork of a fork that was stolen from us. False: there is none at the moment.
//
// Only our own descendants: a stranger's might need a lock that our task holds. What stands at `base` or later
// in the thief's deque was pushed after the thief began our fork, and if that still runs when the entry has
// been read, the entry was pushed by what it runs. The exchange in steal_if proves that it has not been taken
// meanwhile, so the entry is still that one.
//
// That the second look at `thief` does not come too early is the deque's doing: who takes an entry has
// acquired, with the deque's end, what the thief did before it pushed that, such as to say that our fork is
// over.
bool fork_group::help_thieves() noexcept {
    for (fork* f = newest_; f; f = f->older) {
        fork_deque* const thief = f->thief.load(order::seq_cst); // acquire: with `base`
        if (!thief || thief == thread_->forks) continue;
        work* const w =
            thief->steal_if(f->base, [f, thief] { return f->thief.load(order::seq_cst) == thief; });
        if (!w) continue;
        // It may be a step of a coroutine, which is run as a worker does between two tasks.
        execution& e = current();
        context* const scope = std::exchange(e.scope, nullptr);
        context* const light = std::exchange(e.light, nullptr);
        const unsigned budget = e.budget;
        w->run();
        e.scope = scope;
        e.light = light;
        e.budget = budget;
        return true;
    }
    return false;
}

void fork_group::wait_for_thieves() noexcept {
    // acquire: pairs with run_stolen().
    while (ended_.load(order::acquire) != pending_) {
        if (help_thieves()) continue;
        const blocking_region elsewhere; // others may have to end them
        // Wake-up: whoever counts the last one finds the bit, or we find its count; the kernel compares again.
        std::uint32_t now = ended_.fetch_or(sleeping, order::acq_rel) | sleeping;
        for (; now != (pending_ | sleeping); now = ended_.load(order::acquire))
            futex_wait(ended_.address(), now);
        break;
    }
    ended_.store(0, order::relaxed); // ours again; the next thief learns of it by the deque
    pending_ = 0;
    while (fork* const f = newest_) {
        newest_ = f->older;
        if (f->release_) f->release_(*f);
    }
}

} // namespace plait::detail
