// SPDX-License-Identifier: Apache-2.0
// The parker and the parking place: a wake is never lost, and what the waker did is seen.
#include "support.hpp"

#include "base/parker.hpp"

#include <plait/detail/parking_place.hpp>

using plait::detail::parker;
using plait::detail::parking_place;
using plait::detail::time_point;
using plait::testing::check;
using plait::testing::thread;

namespace {

constexpr time_point soon{std::chrono::nanoseconds{1}};

TEST(Model, Parker_AWakeIsNotLost) {
    explored("parker: park against unpark", [] {
        payload data;
        auto p = std::make_unique<parker>();
        thread waker{"waker", [&data, at = p.get()] {
                         data = payload{7};
                         at->unpark();
                     }};
        p->park();
        check(data.value() == 7);
        p.reset(); // the waker may not have returned yet
        waker.join();
    });
}

TEST(Model, Parker_AParkThatWasGivenUpCanBeTakenUpAgain) {
    explored("parker: a deadline, then without", [] {
        payload data;
        parker p;
        thread waker{"waker", [&] {
                         data = payload{7};
                         p.unpark();
                     }};
        if (!p.park_until(soon)) p.park();
        check(data.value() == 7 && p.unparked());
        waker.join();
        p.reset();
        check(!p.unparked());
    });
}

TEST(Model, ParkingPlace_AWakeIsNotLost) {
    explored("parking place: sleep against wake", [] {
        payload data;
        auto p = std::make_unique<parking_place>();
        thread waker{"waker", [&data, at = p.get()] {
                         data = payload{7};
                         at->wake();
                     }};
        if (!p->sleep_until(soon)) p->sleep();
        check(data.value() == 7);
        p.reset();
        waker.join();
    });
}

} // namespace
