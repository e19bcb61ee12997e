// SPDX-License-Identifier: Apache-2.0
// future and promise: a result comes once, whole, and nobody waits for one that has come.
#include "support.hpp"

#include <plait/future.hpp>
#include <plait/wait.hpp>

#include <chrono>
#include <future>
#include <vector>

using namespace std::chrono_literals;
using plait::testing::check;
using plait::testing::thread;

namespace {

using promised = plait::promise<payload>;
using answer = plait::future<payload>;

TEST(Model, Future_TheValueComes) {
    explored("future: get against set_value", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [p = std::move(p)]() mutable { p.set_value(payload{7}); }};
        check(f.get().value() == 7);
        producer.join();
    });
}

TEST(Model, Future_TwoWaitForIt) {
    explored("future: two wait for it", [] {
        promised p;
        answer f = p.get_future();
        thread other{"other", [&f] { f.wait(); }};
        thread producer{"producer", [&p] { p.set_value(payload{7}); }};
        f.wait();
        other.join();
        check(f.get().value() == 7);
        producer.join();
    });
}

TEST(Model, Future_ATimedWaitTakesItsHookBack) {
    explored("future: wait_for against set_value", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [&p] { p.set_value(payload{7}); }};
        const bool came = f.wait_for(1ms);
        check(!came || f.done());
        check(f.get().value() == 7);
        producer.join();
    });
}

TEST(Model, Future_CancelAgainstCompletion) {
    explored("future: cancel against set_value", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [p = std::move(p)]() mutable { p.set_value(payload{7}); }};
        const bool cancelled = f.cancel();
        if (cancelled && f.cancelled()) check(f.done(), "cancelled, and not done");
        auto end = f.get_outcome();
        check(end.has_value() || cancelled, "an error that nobody made");
        if (end.has_value()) check(end.value().value() == 7);
        producer.join();
    });
}

TEST(Model, Future_TwoCancel) {
    explored("future: two cancel, one sets", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [&p] { p.set_value(payload{7}); }};
        thread other{"other", [&f] { f.cancel(); }};
        f.cancel();
        f.wait();
        other.join();
        producer.join();
        auto end = f.get_outcome();
        if (end.has_value()) check(end.value().value() == 7);
    });
}

TEST(Model, Future_DroppedWhileItIsSet) {
    explored("future: dropped against set_value", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [p = std::move(p)]() mutable { p.set_value(payload{7}); }};
        { const answer gone = std::move(f); }
        producer.join();
    });
}

TEST(Model, Future_ABrokenPromiseEndsTheWait) {
    explored("future: get against a promise that is dropped", [] {
        promised p;
        answer f = p.get_future();
        thread producer{"producer", [p = std::move(p)]() mutable { const promised gone = std::move(p); }};
        check(!f.get_outcome().has_value());
        producer.join();
    });
}

TEST(Model, Future_WaitTellsWhichAreDone) {
    explored("wait: two futures", [] {
        promised p;
        promised q;
        std::vector<answer> both;
        both.push_back(p.get_future());
        both.push_back(q.get_future());
        q.set_value(payload{8});
        thread one{"one", [&p] { p.set_value(payload{7}); }};
        const auto r = plait::wait(both);
        check(r.done.size() == 2 && r.pending.empty());
        check(both[0].get().value() == 7 && both[1].get().value() == 8);
        one.join();
    });
}

} // namespace
