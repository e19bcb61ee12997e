// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fetch/sink.hpp"
#include "fetch/verdict.hpp"
#include "fetch/writers.hpp"
#include "http/session_state.hpp"

namespace plait::fetch {

/// One request for a worker, wherever that is: plain data.
struct order {
    std::uint32_t id = 0;
    std::string url;        // with userinfo
    std::string name;       // of the file
    std::uint64_t hash = 0; // of URL and name: the temporary name
    bool all_headers = true;
    bool redirected = false;
    bool from_public = false;
    std::int64_t time_left = INT64_MAX; // nanoseconds

    template <class Archive>
    void serialize(Archive& archive) {
        archive(id, url, name, hash, all_headers, redirected, from_public, time_left);
    }
};

/// What all orders of a run have in common: plain data too.
struct work_options {
    std::string directory; // empty: discard
    std::vector<std::string> headers;
    std::string user_agent;
    std::string ca_file;
    std::int64_t connect_timeout = 0; // nanoseconds
    std::int64_t stall_timeout = 0;
    std::uint64_t max_size = UINT64_MAX;
    std::uint64_t kept = 64; // idle connections of an engine
    std::uint64_t most = 0;  // idle and busy ones; 0: no bound
    bool overwrite = false;
    bool insecure = false;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(directory, headers, user_agent, ca_file, connect_timeout, stall_timeout, max_size, kept, most,
                overwrite, insecure);
    }
};

/// What is on its way through a workshop, for whoever shows progress.
///
/// Threads:  any. Nothing else is read through these numbers, so relaxed order is enough.
struct traffic {
    std::atomic<std::uint64_t> bytes{0};     // of bodies that are not taken to the end yet
    std::atomic<std::uint64_t> announced{0}; // how many of those have told their length
    std::atomic<std::uint64_t> lengths{0};   // and the sum
};

/// What a worker needs for any number of orders: a session, the directory, the headers in libcurl's form.
class workshop {
  public:
    explicit workshop(work_options common);

    [[nodiscard]] const work_options& common() const noexcept { return common_; }
    [[nodiscard]] http::session& session() noexcept { return session_; }
    [[nodiscard]] const directory* place() const noexcept { return place_.get(); }
    [[nodiscard]] fetch::writers& writers() noexcept { return writers_; }
    [[nodiscard]] fetch::traffic& traffic() noexcept { return traffic_; }
    [[nodiscard]] const void* headers(bool all) const noexcept { return (all ? all_ : some_).get(); }

  private:
    work_options common_;
    std::unique_ptr<directory> place_;
    fetch::writers writers_;
    fetch::traffic traffic_;
    http::session session_;
    http::detail::header_list all_;
    http::detail::header_list some_;
};

/// One order on its way through a workshop: makes the exchange, takes the body to the disk, gives the result.
///
/// On a loop the body is gathered in a buffer. One that fits is written and named by a writer when it is
/// whole, without a temporary name. Of a larger one each full buffer is a piece, which a writer takes to the
/// temporary file; meanwhile the exchange is held, so that a body takes at most one piece and what one more
/// read of the socket brings.
///
/// On a thread that may block the bytes go to the temporary file as they come, but for a body that comes
/// whole.
class download final : private http::body_receiver {
  public:
    enum class mode : unsigned char { blocking, holding };
    static constexpr std::size_t piece = 128 * 1024;

    download(workshop& shop, mode how) : shop_(shop), mode_(how) {}
    ~download() override { leave_traffic(); }
    download(const download&) = delete;
    download& operator=(const download&) = delete;

    /// False if there is nothing to ask, since something stands in the place: result() says so.
    [[nodiscard]] bool prepare(const order& what);
    [[nodiscard]] http::detail::exchange& exchange() noexcept { return exchange_; }
    /// When the exchange is held: write_piece() on a writer's thread; false if that went wrong, and it is to
    /// be given up.
    void take_piece() noexcept { writing_.swap(buffer_); }
    void write_piece() noexcept;
    [[nodiscard]] bool going_well() const noexcept { return disk_error_ == 0 && !busy_; }
    /// After the exchange: whether there is a file to finish, and that, also on a writer's thread.
    [[nodiscard]] bool has_file() const noexcept;
    void finish_file() noexcept;
    [[nodiscard]] fetched result();

  private:
    void begin(const http::response& answer) override;
    void receive(std::string_view bytes) override;
    void write_piece(std::string_view bytes) noexcept;
    template <class F>
    void on_disk(F&& work) noexcept;
    void leave_traffic() noexcept;
    [[nodiscard]] std::string exists_text() const;
    [[nodiscard]] std::string busy_text() const;

    workshop& shop_;
    http::detail::exchange exchange_;
    sink sink_;
    mode mode_;
    std::string buffer_;
    std::string writing_;
    std::uint32_t id_ = 0;
    std::string name_;
    std::uint64_t hash_ = 0;
    bool placed_ = false;
    bool arrived_ = false; // whole
    bool asked_ = true;
    bool exists_ = false;
    bool busy_ = false;
    int disk_error_ = 0;
    std::string disk_text_;
    std::uint64_t counted_bytes_ = 0; // by us in the traffic
    std::uint64_t counted_length_ = 0;
    bool announced_ = false;
};

/// Does an order on the calling thread, by blocking. `give_up` as in blocking_engine::perform; then `failure`
/// is none and `status` 0.
[[nodiscard]] fetched perform(workshop& shop, const order& what, bool (*give_up)(void*) = nullptr,
                              void* argument = nullptr);

/// The same on the loop of the running task.
[[nodiscard]] task<fetched> perform_async(workshop& shop, order what);

} // namespace plait::fetch
