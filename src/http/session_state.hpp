// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/engine.hpp"
#include "http/loop_driver.hpp"
#include "http/redirect.hpp"
#include "http/url.hpp"

namespace plait::http {

/// A session's engines: one for each loop that uses it, and one for each thread that blocks at the same time.
struct session::state {
    explicit state(const session_options& options);
    ~state();
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// The driver of the loop that serves the running task; throws logic_error outside of a task.
    [[nodiscard]] detail::loop_driver& driver();

    [[nodiscard]] std::unique_ptr<detail::engine> borrow();
    void give_back(std::unique_ptr<detail::engine> engine) noexcept;

    detail::settings common;

  private:
    std::mutex mutex_;
    std::vector<detail::loop_driver*> drivers_;
    std::vector<std::unique_ptr<detail::engine>> engines_; // idle; the one used last is used next
};

namespace detail {

/// A list of headers as libcurl wants it.
class header_list {
  public:
    header_list() = default;
    header_list(header_list&& other) noexcept : first_(std::exchange(other.first_, nullptr)) {}
    header_list& operator=(header_list&& other) noexcept {
        std::swap(first_, other.first_);
        return *this;
    }
    ~header_list() { curl_slist_free_all(first_); }

    void add(const std::string& header);
    [[nodiscard]] const void* get() const noexcept { return first_; }

  private:
    curl_slist* first_ = nullptr;
};

/// An engine for a thread that blocks, and the blocking itself.
class blocking_engine {
  public:
    explicit blocking_engine(session::state& home);
    ~blocking_engine();
    blocking_engine(const blocking_engine&) = delete;
    blocking_engine& operator=(const blocking_engine&) = delete;

    /// Returns when the answer is in x.result. In a task that is cancelled: throws `cancelled` within 50 ms.
    /// `give_up`, if there is one, is asked as often; when it says true, perform() returns false.
    bool perform(exchange& x, bool (*give_up)(void*) = nullptr, void* argument = nullptr);

  private:
    session::state& home_;
    std::unique_ptr<engine> engine_;
};

} // namespace detail
} // namespace plait::http
