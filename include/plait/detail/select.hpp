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

/// One case's place in its channel's list.
template <class T>
class select_node final : public channel_waiter<T> {
  public:
    void init(selector& s, channel_core<T>& c, bool sending) noexcept {
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
    selector* of_ = nullptr;
    channel_core<T>* core_ = nullptr;
};

/// One round of a select: tries all cases, and if none can be done waits until one might. Used once.
template <class... Cases>
class selection final : public selector {
  public:
    explicit selection(Cases&... cases) noexcept : cases_{cases...} {
        init(std::index_sequence_for<Cases...>{});
    }

    bool await_ready() { return may_go_on() && try_all(std::index_sequence_for<Cases...>{}); }

    bool await_suspend(std::coroutine_handle<> h) {
        if (!arm(h, "select")) return false;
        if (!pend()) return settle();
        entered_ = true;
        // Each is looked at under the lock under which it is entered: what comes later finds it there.
        const bool all_wait = std::apply([](auto&... n) { return (n.enter() && ...); }, nodes_);
        if (all_wait || !complete()) { // else it is ours alone
            if (suspended()) return true;
        }
        if (current().budget != 0) return settle();
        post();
        return true;
    }

    void await_resume() {
        if (entered_) std::apply([](auto&... n) { (n.leave(), ...); }, nodes_);
        check();
    }

    std::optional<std::variant<typename Cases::case_value...>> result;

  private:
    template <std::size_t... I>
    void init(std::index_sequence<I...>) noexcept {
        (std::get<I>(nodes_).init(*this, std::get<I>(cases_).core(),
                                  std::remove_cvref_t<decltype(std::get<I>(cases_))>::sends_item),
         ...);
    }
    template <std::size_t... I>
    bool try_all(std::index_sequence<I...> all) {
        const std::size_t first = next_select_turn() % sizeof...(Cases);
        static_cast<void>(all);
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
    std::tuple<select_node<typename Cases::item_type>...> nodes_;
    bool entered_ = false;
};

} // namespace plait::detail
