// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <plait/detail/atomic.hpp>
#include <plait/detail/chrono.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plait::fetch {

/// The run cannot begin or go on: a list that cannot be read, a directory that cannot be written, a full
/// disk. Errors of one item are no exceptions: they are results.
class [[gnu::visibility("default")]] run_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// On which executor the downloads run.
enum class strategy { serial, threads, loop, loops, processes };

[[nodiscard]] [[gnu::visibility("default")]] std::string_view text_of(strategy s) noexcept;
/// False if there is no such strategy.
[[nodiscard]] [[gnu::visibility("default")]] bool strategy_of(std::string_view text, strategy& out) noexcept;

/// What to download, whereto, and how. What the members mean is written at the command's options of the same
/// name.
struct [[gnu::visibility("default")]] options {
    options();
    options(const options&);
    options(options&&) noexcept;
    options& operator=(const options&);
    options& operator=(options&&) noexcept;
    ~options();

    std::vector<std::string> urls;
    std::string input; // a file, `-` for stdin, empty for none
    std::string directory = ".";
    strategy executor = strategy::loop;
    std::size_t workers = 0; // 0: threads min(connections, 32), loops and processes the CPUs
    std::size_t connections = 64;
    std::size_t per_host = 8; // 0: no limit
    unsigned retries = 3;
    plait::detail::nanoseconds connect_timeout = std::chrono::seconds(10);
    plait::detail::nanoseconds stall_timeout = std::chrono::seconds(30);
    plait::detail::nanoseconds timeout =
        plait::detail::nanoseconds::max(); // of one item with all its attempts
    std::uint64_t max_size = UINT64_MAX;
    unsigned max_redirects = 10;
    bool overwrite = false;
    bool discard = false; // measure only: nothing is written, and equal URLs are asked each time
    std::vector<std::string> headers;
    std::string user_agent = "plait/0.1";
    std::string ca_file;
    bool insecure = false;
    std::string report; // a file, `-` for stdout, empty for none
};

/// One item has ended.
struct item_end {
    std::string_view url;   // as given
    std::string_view error; // empty: it is done
    std::string_view reason;
    std::size_t site = 0; // of the URL's origin, in order of first appearance
    std::size_t worker = 0;
    std::uint64_t bytes = 0;
    bool asked = true; // false: a line that was no URL, a repetition, or not started
};

/// How far a run has come.
struct progress {
    std::uint64_t known = 0; // items read from the list so far
    bool all_known = false;  // and these are all
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0; // that have come, of what is in flight too; never falls
    std::size_t in_flight = 0;
    std::size_t waiting_hosts = 0;
    std::uint64_t lengths_known = 0; // of so many items: what is done, and what announced a length
    std::uint64_t lengths = 0;       // and their sum
    double seconds = 0;
};

/// What a run came to.
struct [[gnu::visibility("default")]] summary {
    summary();
    summary(const summary&);
    summary(summary&&) noexcept;
    summary& operator=(const summary&);
    ~summary();

    std::uint64_t items = 0;
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;
    std::uint64_t requests = 0;
    double seconds = 0;
    bool interrupted = false;
    std::size_t workers = 0;
    std::size_t connections = 0;
    std::string run_error;      // why the run could not go on; empty if it could
    bool report_failed = false; // the report is not whole
    std::vector<std::pair<std::string, std::uint64_t>> reasons; // of the failed ones

    /// 0 all done, 1 items failed, 3 the run could not go on and nothing was done, or the report could not be
    /// written, 130 interrupted.
    [[nodiscard]] int exit_status() const noexcept;
    /// The object that `plait fetch --json` prints.
    [[nodiscard]] std::string to_json(const options& of) const;
};

/// Told what happens, on the thread that called run(). All members may be left out.
class [[gnu::visibility("default")]] observer {
  public:
    virtual ~observer();
    virtual void ended(const item_end& item);
    /// About four times a second.
    virtual void moved(const progress& so_far);
    /// Something the user should know: connections lowered, TLS not checked.
    virtual void note(std::string_view text);
    /// The stopper's first word was understood: nothing new is begun, so many are still in flight.
    virtual void stopping(std::size_t in_flight);
};

/// Asks a run to end, from any thread or from a signal handler.
class [[gnu::visibility("default")]] stopper {
  public:
    /// No new request; those in flight get ten seconds.
    void stop() noexcept { level_.store(1, plait::detail::order::relaxed); }
    /// Those in flight are given up as well.
    void stop_now() noexcept { level_.store(2, plait::detail::order::relaxed); }
    [[nodiscard]] bool stopped() const noexcept { return level_.load(plait::detail::order::relaxed) != 0; }
    [[nodiscard]] bool stopped_now() const noexcept {
        return level_.load(plait::detail::order::relaxed) == 2;
    }

  private:
    plait::detail::atomic<std::uint32_t> level_{0};
};

/// Downloads everything, and returns when every item has ended one way or another.
///
///     plait::fetch::options what;
///     what.input = "urls.txt";
///     what.directory = "files";
///     auto result = plait::fetch::run(what);
///
/// What bears its final name is whole; names come from the URLs, and nothing is written outside the
/// directory.
///
/// Threads:       blocks; not from a task of a loop.
/// Cancellation:  by a stopper.
/// Errors:        run_error if it cannot begin; std::invalid_argument for options that make no sense.
[[gnu::visibility("default")]] summary run(const options& what, observer* seen = nullptr,
                                           const stopper* until = nullptr);

/// Text from elsewhere (a URL, an error that a server caused), safe to show on a terminal; of a URL without
/// userinfo.
[[nodiscard]] [[gnu::visibility("default")]] std::string printable(std::string_view text);
[[nodiscard]] [[gnu::visibility("default")]] std::string printable_url(std::string_view url);

/// For main: opens /dev/null in the place of a missing descriptor 0, 1 or 2, lest a download gets its number,
/// ignores SIGPIPE and SIGXFSZ, whose errors run() reports instead, and has the allocator keep what requests
/// free.
[[gnu::visibility("default")]] void prepare_process() noexcept;

/// Two small sites on free ports of this machine that take 50 ms for each answer, on a thread of their own:
/// something to compare executors with.
class [[gnu::visibility("default")]] demo_server {
  public:
    demo_server();
    ~demo_server();
    demo_server(const demo_server&) = delete;
    demo_server& operator=(const demo_server&) = delete;

    /// One of each site.
    [[nodiscard]] std::vector<std::string> urls() const;

  private:
    struct implementation;
    implementation* self_;
};

} // namespace plait::fetch
