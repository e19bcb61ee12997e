// SPDX-License-Identifier: Apache-2.0
#include "http/loop_driver.hpp"

#include <utility>

namespace plait::http::detail {

struct loop_driver::disposal : plait::detail::work {
    explicit disposal(loop_driver& d) noexcept
        : work([](plait::detail::work& w) noexcept { delete &static_cast<disposal&>(w).driver; }),
          driver(d) {}
    loop_driver& driver;
};

loop_driver::loop_driver(plait::detail::loop_engine& loop, settings common)
    : timer(&fire),
      work(&run_posted),
      loop_(loop),
      engine_(std::move(common)),
      disposal_(new disposal{*this}) {
    loop_.add_owner();
}

loop_driver::~loop_driver() {
    if (watched_) loop_.remove_watch(engine_.descriptor(), *this);
    if (timer::armed()) loop_.remove_timer(*this);
    delete disposal_;
    loop_.release_owner();
}

void loop_driver::dispose(loop_driver* driver) noexcept {
    driver->dying_ = true;
    const bool here = driver->loop_.is_current() || driver->loop_.closed();
    if (here && !driver->posted_)
        delete driver;
    else
        driver->loop_.post(*driver->disposal_); // behind what is posted already
}

void loop_driver::start(exchange& x) {
    if (!watched_) {
        loop_.add_watch(engine_.descriptor(), *this);
        watched_ = true;
    }
    engine_.start(x);
    call_again();
}

void loop_driver::stop(exchange& x) noexcept { engine_.stop(x); }

void loop_driver::go_on(exchange& x) {
    engine_.go_on(x);
    call_again();
}

void loop_driver::call_again() noexcept {
    if (std::exchange(posted_, true)) return;
    loop_.post(*this);
}

void loop_driver::ready(std::uint32_t /*events*/) noexcept { pump(); }

void loop_driver::fire(plait::detail::timer& t) noexcept { static_cast<loop_driver&>(t).pump(); }

void loop_driver::run_posted(plait::detail::work& w) noexcept {
    auto& self = static_cast<loop_driver&>(w);
    self.posted_ = false;
    if (!self.dying_) self.pump();
}

void loop_driver::pump() noexcept {
    engine_.work(0);
    const clock::time_point next = engine_.deadline();
    if (next <= clock::now()) {
        call_again();
        return;
    }
    // An armed timer that is too early costs one empty turn, moving it at each request much more.
    if (timer::armed() && timer::deadline_ <= next) return;
    if (timer::armed()) loop_.remove_timer(*this);
    if (next == clock::time_point::max()) return;
    timer::deadline_ = next;
    loop_.add_timer(*this);
}

exchange_waiter::starter::starter(exchange_waiter& w) noexcept
    : work([](plait::detail::work& posted) noexcept { static_cast<starter&>(posted).self.begin(); }),
      self(w) {}

bool exchange_waiter::await_suspend(std::coroutine_handle<> h) {
    if (!arm(h, "an HTTP answer", &driver_.loop())) return false;
    exchange_.done = &on_done;
    exchange_.owner = this;
    if (!driver_.loop().is_current()) {
        driver_.loop().post(starter_); // from here on it may be over: touch nothing
        return true;
    }
    if (!pend()) return settle();
    if (kind_ == kind::start)
        driver_.start(exchange_);
    else
        driver_.go_on(exchange_);
    return true;
}

void exchange_waiter::begin() {
    if (pend())
        driver_.start(exchange_);
    else
        post();
}

void exchange_waiter::on_done(exchange& x) noexcept {
    if (x.owner == nullptr) return; // it ended while it was held
    auto& self = *static_cast<exchange_waiter*>(x.owner);
    if (self.complete()) self.post();
}

} // namespace plait::http::detail
