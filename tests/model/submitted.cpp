// SPDX-License-Identifier: Apache-2.0
// A submitted function against its cancellers: its scope is on the stack of whoever runs it, and gone when it is complete.
#include "tasks.hpp"

#include <plait/detail/submitted.hpp>
#include <plait/future.hpp>
#include <plait/this_task.hpp>

using plait::testing::check;
using plait::testing::thread;

namespace {

template <class F>
auto& submitted_to(model_worker& w, F fn) {
    return *new plait::detail::submitted_call<F>{w, plait::submit_options{}, std::move(fn)};
}
auto seven = [] { return payload{7}; };

TEST(Model, Submitted_CancelAgainstItsRun) {
    explored_tasks("submitted: cancel while it runs", [] {
        model_worker home;
        auto& call = submitted_to(home, seven);
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread runner{"runner", [&call] { call.run(); }};
        const bool asked = f.cancel();
        auto end = f.get_outcome();
        check(end.has_value() || asked, "cancelled by nobody");
        if (end.has_value()) check(end.value().value() == 7);
        runner.join();
    });
}

TEST(Model, Submitted_TwoCancelIt) {
    explored_tasks("submitted: two cancel while it runs", [] {
        model_worker home;
        auto& call = submitted_to(home, seven);
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread runner{"runner", [&call] { call.run(); }};
        thread other{"other", [&f] { f.cancel(); }};
        f.cancel();
        f.wait();
        other.join();
        runner.join();
        auto end = f.get_outcome();
        if (end.has_value()) check(end.value().value() == 7);
    });
}

TEST(Model, Submitted_AStopIsSeenOrComesTooLate) {
    explored_tasks("submitted: cancel against a look at the stop", [] {
        model_worker home;
        bool begun = false;
        auto& call = submitted_to(home, [&begun] {
            begun = true;
            return plait::this_task::stop_token().stop_requested();
        });
        plait::future<bool> f = plait::detail::future_access::make<bool>(call);
        thread runner{"runner", [&call] { call.run(); }};
        f.cancel();
        auto end = f.get_outcome();
        runner.join();
        check(end.has_value() == begun, "cancelled although it ran, or the other way round");
    });
}

TEST(Model, Submitted_CancelWhileItIsRefused) {
    explored_tasks("submitted: cancel while its executor refuses it", [] {
        model_worker home;
        home.refused_with = std::make_exception_ptr(1);
        auto& call = submitted_to(home, seven);
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread runner{"runner", [&call] { call.run(); }};
        f.cancel();
        check(!f.get_outcome(), "it has run");
        runner.join();
    });
}

TEST(Model, Submitted_DroppedWhileItRuns) {
    explored_tasks("submitted: the future goes while it runs", [] {
        model_worker home;
        auto& call = submitted_to(home, seven);
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread runner{"runner", [&call] { call.run(); }};
        { const plait::future<payload> gone = std::move(f); }
        runner.join();
    });
}

// What a function has captured, and whether it is there.
class captured {
  public:
    explicit captured(plait::testing::plain<bool>& there) noexcept : there_{&there} { there = true; }
    captured(captured&& other) noexcept : there_{std::exchange(other.there_, nullptr)} {}
    captured& operator=(captured&&) = delete;
    ~captured() {
        if (there_) *there_ = false;
    }

  private:
    plait::testing::plain<bool>* there_;
};

TEST(Model, Submitted_WhoSeesTheResultSeesNothingOfTheFunction) {
    explored_tasks("submitted: what it has captured is gone when its end is there", [] {
        model_worker home;
        plait::testing::plain<bool> there{false};
        auto& call = submitted_to(home, [c = captured{there}] { return payload{7}; });
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread runner{"runner", [&call] { call.run(); }};
        f.wait();
        check(!there, "its result is there, and so is the function");
        runner.join();
    });
}

TEST(Model, Submitted_WhoSeesItCancelledSeesNothingOfTheFunction) {
    explored_tasks("submitted: what it has captured is gone when it is cancelled", [] {
        model_worker home;
        plait::testing::plain<bool> there{false};
        auto& call = submitted_to(home, [c = captured{there}] { return payload{7}; });
        plait::future<payload> f = plait::detail::future_access::make<payload>(call);
        thread canceller{"canceller", [&f] { f.cancel(); }};
        f.wait();
        check(!there, "it is cancelled, and its function is there");
        canceller.join();
        call.run(); // the queue's share
    });
}

} // namespace
