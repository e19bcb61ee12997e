// SPDX-License-Identifier: Apache-2.0
// The parking place: a wake is never lost, and what the waker did is seen.
#include "support.hpp"

#include <plait/detail/parking_place.hpp>

using plait::detail::parking_place;
using plait::detail::time_point;
using plait::testing::check;
using plait::testing::thread;

namespace {

constexpr time_point soon{std::chrono::nanoseconds{1}};

TEST(Model, ParkingPlace_AWaitThatWasGivenUpCanBeTakenUpAgain) {
    explored("parking place: a deadline, then without", [] {
        payload data;
        parking_place p;
        thread waker{"waker", [&] {
                         data = payload{7};
                         p.wake();
                     }};
        if (!p.sleep_until(soon)) p.sleep();
        check(data.value() == 7 && p.is_woken());
        waker.join();
        p.reset();
        check(!p.is_woken());
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

TEST(Model, ParkingPlace_ItServesAgain) {
    explored("parking place: two sleeps, two wakers", [] {
        payload data;
        parking_place p;
        thread first{"first waker", [&p] { p.wake(); }};
        p.sleep();
        p.reset(); // the waker may not have returned yet: its wake may come in the next sleep
        thread second{"second waker", [&] {
                          data = payload{7};
                          p.wake();
                      }};
        p.sleep();
        check(data.value() == 7 && p.is_woken());
        first.join();
        second.join();
    });
}

} // namespace
