// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "http/escape.hpp"
#include "http/session_state.hpp"

namespace plait::http {
namespace detail {
namespace {

/// How often a thread that blocks looks up to see whether it is to stop.
constexpr auto look_up = std::chrono::milliseconds(50);

/// A request with its redirects: what get() and get_blocking() have in common.
class conversation {
  public:
    conversation(const std::string& given, request_options options) : options_(std::move(options)) {
        if (!parser_.parse(given, at_))
            throw error(without_userinfo(given), phase::before, cause::bad_url, parser_.fault());
        for (const std::string& header : options_.headers) {
            if (const std::string fault = header_fault(header); !fault.empty())
                throw std::invalid_argument("http: the header \"" + escape(header) + "\" has " + fault);
            all_headers_.add(header);
            if (goes_anywhere(header)) some_headers_.add(header);
        }
        const auto now = clock::now();
        x.what.deadline = options_.timeout > clock::time_point::max() - now ? clock::time_point::max()
                                                                            : now + options_.timeout;
        x.what.connect_timeout = options_.connect_timeout;
        x.what.stall_timeout = options_.stall_timeout;
        x.what.max_size = options_.max_size;
        x.receiver = options_.receiver;
        x.drops = options_.max_redirects > 0 ? discard::redirects : discard::nothing;
        prepare();
    }

    /// After an answer: true if there is another request to be made.
    [[nodiscard]] bool goes_on() {
        answer& got = x.result;
        if (got.failure) raise();
        if (options_.max_redirects == 0 || !is_redirect(got.status) || !got.headers.contains("location"))
            return false;
        std::string fault;
        if (!follow(got, options_.max_redirects, parser_, at_, trail_, fault))
            throw error(at_.text, phase::headers, cause::redirect, fault, got.status);
        prepare();
        return true;
    }

    [[nodiscard]] response take() {
        x.result.effective_url = at_.text;
        return std::move(static_cast<response&>(x.result));
    }

    exchange x;

  private:
    void prepare() {
        x.what.url = at_.request_text();
        x.what.headers = trail_.changed_origin ? some_headers_.get() : all_headers_.get();
        x.what.redirected = trail_.followed > 0;
        x.what.from_public = trail_.from_public;
        x.what.fresh = false;
    }

    [[noreturn]] void raise() {
        const answer& got = x.result;
        const error failed{at_.text, got.where, *got.failure, got.text, got.status};
        if (got.thrown) {
            try {
                std::rethrow_exception(got.thrown);
            } catch (...) {
                std::throw_with_nested(failed);
            }
        }
        throw failed;
    }

    request_options options_;
    url_parser parser_;
    url at_;
    trail trail_;
    header_list all_headers_;
    header_list some_headers_;
};

} // namespace

void header_list::add(const std::string& header) {
    curl_slist* const longer = curl_slist_append(first_, header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    first_ = longer;
}

blocking_engine::blocking_engine(session::state& home) : home_(home), engine_(home.borrow()) {}
blocking_engine::~blocking_engine() { home_.give_back(std::move(engine_)); }

bool blocking_engine::perform(exchange& x, bool (*give_up)(void*), void* argument) {
    bool over = false;
    x.owner = &over;
    x.done = [](exchange& ended) noexcept { *static_cast<bool*>(ended.owner) = true; };
    engine_->start(x);
    plait::detail::context* const scope = plait::detail::task_scope();
    while (!over) {
        const bool cancelled = scope != nullptr && scope->stopped();
        if (cancelled || (give_up != nullptr && give_up(argument))) {
            engine_->stop(x);
            if (cancelled) throw plait::cancelled{};
            return false;
        }
        const auto now = clock::now();
        const auto next = std::min(engine_->deadline(), now + look_up);
        const auto wait = next <= now ? std::chrono::milliseconds(0)
                                      : std::chrono::ceil<std::chrono::milliseconds>(next - now);
        engine_->work(static_cast<int>(wait.count()));
    }
    return true;
}

} // namespace detail

session::state::state(const session_options& options) {
    common.user_agent = options.user_agent;
    common.ca_file = options.ca_file;
    common.insecure = options.insecure;
    common.kept = options.kept;
}

session::state::~state() {
    for (detail::loop_driver* driver : drivers_) detail::loop_driver::dispose(driver);
}

detail::loop_driver& session::state::driver() {
    auto& loop = static_cast<plait::detail::loop_engine&>(plait::detail::running_scope().home->keeper());
    const std::lock_guard lock{mutex_};
    for (detail::loop_driver* driver : drivers_)
        if (&driver->loop() == &loop) return *driver;
    drivers_.reserve(drivers_.size() + 1);
    drivers_.push_back(new detail::loop_driver{loop, common});
    return *drivers_.back();
}

std::unique_ptr<detail::engine> session::state::borrow() {
    {
        const std::lock_guard lock{mutex_};
        if (!engines_.empty()) {
            auto engine = std::move(engines_.back());
            engines_.pop_back();
            return engine;
        }
    }
    return std::make_unique<detail::engine>(common);
}

void session::state::give_back(std::unique_ptr<detail::engine> engine) noexcept {
    try {
        const std::lock_guard lock{mutex_};
        engines_.push_back(std::move(engine));
    } catch (...) { // no memory for the list: its connections are closed instead of kept
    }
}

session::session(const session_options& options) : state_(new state{options}) {}
session::~session() { delete state_; }

task<response> session::get(std::string url, request_options options) {
    detail::loop_driver& driver = state_->driver();
    detail::conversation talk{url, std::move(options)};
    do {
        co_await detail::on_wire{driver, talk.x};
    } while (talk.goes_on());
    co_return talk.take();
}

response session::get_blocking(const std::string& url, request_options options) {
    detail::conversation talk{url, std::move(options)};
    detail::blocking_engine engine{*state_};
    do {
        engine.perform(talk.x);
    } while (talk.goes_on());
    return talk.take();
}

} // namespace plait::http
