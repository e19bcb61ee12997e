// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/channel.hpp>
#include <tuple>
#include <variant>

namespace plait::detail {

/// With which of its cases the next select of this thread begins.
[[gnu::visibility("default")]] std::size_t next_select_turn() noexcept;

template <class C>
concept select_case = requires(C& c) {
    typename C::case_value;
    typename C::item_type;
    c.core();
    c.try_case();
};

/// The part of select's wait that does not depend on types. It stands in several channels at once; who tells
/// it first ends it, and the others find it ended.
///
/// `phase_` says whether the task still enters itself into lists, during which nobody may resume it:
///
///     entering -> waiting    by the task, which is suspended from then on
///     entering -> ended      by who ends it: the task finds out, and does not suspend
///     waiting  -> ended      by who ends it, and resumes it
class [[gnu::visibility("default")]] selector : public waiter {
  public:
    /// By who has completed it.
    void told() noexcept {
        if (end()) post();
    }

  protected:
    ~selector() = default;

    bool withdraw() noexcept final { return waiter::withdraw() && end(); }

    /// acq_rel, here and in end(): whoever comes second sees what the first has done, and the task its nodes
    /// as they were left. False: ended meanwhile.
    bool suspended() noexcept { return phase_.exchange(phase::waiting, order::acq_rel) == phase::entering; }

  private:
    enum class phase : std::uint32_t { entering, waiting, ended };
    bool end() noexcept { return phase_.exchange(phase::ended, order::acq_rel) == phase::waiting; }
    atomic<phase> phase_{phase::entering};
};

/// The same for a thread, which sleeps.
class thread_selector {
  public:
    /// By who has something for it, and by the thread when it gives up: true for who comes first. acq_rel: the
    /// second one sees what the first has done.
    bool complete() noexcept { return told_.exchange(1, order::acq_rel) == 0; }
    /// By who has completed it.
    void told() noexcept { place_.wake(); }

  protected:
    ~thread_selector() = default;
    parking_place place_;

  private:
    atomic<std::uint32_t> told_{0};
};

/// One case's place in its channel's list.
template <class T, class Selector>
class select_node final : public channel_waiter<T> {
  public:
    void init(Selector& s, channel_core<T>& c, bool sending) noexcept {
        of_ = &s;
        core_ = &c;
        this->sends = sending;
        this->tell_only = true;
    }
    /// False: something can be done at once.
    bool enter() noexcept {
        const typename channel_core<T>::guard g{core_->lock};
        return this->sends ? core_->tell_sender(*this) : core_->tell_receiver(*this);
    }
    void leave() noexcept {
        const typename channel_core<T>::guard g{core_->lock};
        core_->leave(*this);
    }

  private:
    bool claim() noexcept override { return of_->complete(); }
    void wake() noexcept override { of_->told(); }
    Selector* of_ = nullptr;
    channel_core<T>* core_ = nullptr;
};

/// The cases of a select, their places, and what came of the one that was done.
template <class Selector, class... Cases>
class select_cases {
  public:
    explicit select_cases(Selector& s, Cases&... cases) noexcept : cases_{cases...} {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (std::get<I>(nodes_).init(s, std::get<I>(cases_).core(), Cases::sends_item), ...);
        }(std::index_sequence_for<Cases...>{});
    }

    /// Does the first one that can be done, beginning with another one each time.
    bool try_all() {
        return try_from(next_select_turn() % sizeof...(Cases), std::index_sequence_for<Cases...>{});
    }
    /// False: one of them can be done. Each is looked at under the lock under which it is entered: what comes later
    /// finds it there.
    bool enter() noexcept {
        return std::apply([](auto&... n) { return (n.enter() && ...); }, nodes_);
    }
    void leave() noexcept {
        std::apply([](auto&... n) { (n.leave(), ...); }, nodes_);
    }

    std::optional<std::variant<typename Cases::case_value...>> result;

  private:
    template <std::size_t... I>
    bool try_from(std::size_t first, std::index_sequence<I...>) {
        return ((I >= first && try_one<I>()) || ...) || ((I < first && try_one<I>()) || ...);
    }
    template <std::size_t I>
    bool try_one() {
        auto value = std::get<I>(cases_).try_case();
        if (!value) return false;
        result.emplace(std::in_place_index<I>, std::move(*value));
        return true;
    }

    std::tuple<Cases&...> cases_;
    std::tuple<select_node<typename Cases::item_type, Selector>...> nodes_;
};

/// One round of a select: tries all cases, and if none can be done waits until one might. Used once.
template <class... Cases>
class selection final : public selector {
  public:
    explicit selection(Cases&... cases) noexcept : cases_{*this, cases...} {}

    bool await_ready() { return may_go_on() && cases_.try_all(); }

    bool await_suspend(std::coroutine_handle<> h) {
        if (!arm(h, "select")) return false;
        if (!pend()) return settle();
        entered_ = true;
        if (cases_.enter() || !complete()) { // else it is ours alone
            if (suspended()) return true;
        }
        if (current().budget != 0) return settle();
        post();
        return true;
    }

    /// What was done; empty: it was told that something can be.
    auto await_resume() {
        if (entered_) cases_.leave();
        check();
        return std::move(cases_.result);
    }

  private:
    select_cases<selector, Cases...> cases_;
    bool entered_ = false;
};

/// The same for a thread.
template <class... Cases>
class thread_selection final : public thread_selector {
  public:
    explicit thread_selection(Cases&... cases) noexcept : cases_{*this, cases...} {}

    /// What was done; empty: it was told that something can be, or the deadline has passed.
    auto wait(time_point deadline) {
        if (!cases_.try_all()) {
            const bool woken = cases_.enter() && place_.sleep_until(deadline);
            cases_.leave();
            // Told meanwhile, it is being woken: wake-up by who has completed it, and must not find it gone.
            if (!woken && !complete()) place_.sleep();
        }
        return std::move(cases_.result);
    }

  private:
    select_cases<thread_selector, Cases...> cases_;
};

template <class... Cases>
std::optional<std::variant<typename Cases::case_value...>> select_until(time_point deadline,
                                                                        Cases&... cases) {
    refuse_to_block_a_loop("select_blocking", "select(...)");
    for (;;) {
        const bool last = deadline != time_point::max() && std::chrono::steady_clock::now() >= deadline;
        thread_selection<Cases...> once{cases...};
        auto result = once.wait(deadline);
        if (result || last) return result;
    }
}

} // namespace plait::detail
