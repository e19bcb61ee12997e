// SPDX-License-Identifier: Apache-2.0
#include "fetch/download.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <new>
#include <stdexcept>
#include <utility>

#include "http/escape.hpp"

namespace plait::fetch {
namespace {

http::session_options session_options_of(const work_options& common) {
    http::session_options out;
    out.user_agent = common.user_agent;
    out.ca_file = common.ca_file;
    out.insecure = common.insecure;
    out.kept = static_cast<std::size_t>(common.kept);
    return out;
}

/// Thrown through the exchange when the file cannot take the body.
struct refused_body : std::runtime_error {
    using std::runtime_error::runtime_error;
};

} // namespace

workshop::workshop(work_options common) : common_(std::move(common)), session_(session_options_of(common_)) {
    session_.internals().common.most = static_cast<std::size_t>(common_.most);
    if (!common_.directory.empty()) {
        place_ = std::make_unique<directory>(common_.directory);
        place_->look_around();
    }
    for (const std::string& header : common_.headers) {
        all_.add(header);
        if (http::detail::goes_anywhere(header)) some_.add(header);
    }
}

std::string download::exists_text() const { return http::detail::escape(name_) + " exists"; }
std::string download::busy_text() const {
    return "another run is downloading " + http::detail::escape(name_);
}

bool download::prepare(const order& what) {
    id_ = what.id;
    name_ = what.name;
    hash_ = what.hash;
    asked_ = true;
    exists_ = busy_ = placed_ = arrived_ = false;
    disk_error_ = 0;
    disk_text_.clear();
    buffer_.clear();
    writing_.clear();
    sink_.drop();
    leave_traffic();
    if (shop_.place() != nullptr && !shop_.common().overwrite && shop_.place()->may_have(name_) &&
        shop_.place()->has(name_)) {
        asked_ = false;
        exists_ = true;
        disk_text_ = exists_text();
        return false;
    }
    http::detail::hop& hop = exchange_.what;
    hop.url = what.url;
    hop.headers = shop_.headers(what.all_headers);
    hop.connect_timeout = std::chrono::nanoseconds(shop_.common().connect_timeout);
    hop.stall_timeout = std::chrono::nanoseconds(shop_.common().stall_timeout);
    hop.deadline = what.time_left == INT64_MAX
                       ? http::detail::clock::time_point::max()
                       : http::detail::clock::now() + std::chrono::nanoseconds(what.time_left);
    hop.max_size = shop_.common().max_size;
    hop.redirected = what.redirected;
    hop.from_public = what.from_public;
    hop.fresh = false;
    exchange_.receiver = this;
    exchange_.drops = http::detail::discard::all_but_success;
    return true;
}

/// What it brought is counted where it ends.
void download::leave_traffic() noexcept {
    traffic& all = shop_.traffic();
    all.bytes.fetch_sub(std::exchange(counted_bytes_, 0), std::memory_order_relaxed);
    if (!std::exchange(announced_, false)) return;
    all.announced.fetch_sub(1, std::memory_order_relaxed);
    all.lengths.fetch_sub(counted_length_, std::memory_order_relaxed);
}

void download::begin(const http::response& answer) {
    const std::string_view length = answer.headers.find("content-length");
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): its size comes along, as the end
    const auto read = std::from_chars(length.data(), length.data() + length.size(), counted_length_);
    if (!length.empty() && read.ptr == length.data() + length.size()) {
        announced_ = true;
        shop_.traffic().announced.fetch_add(1, std::memory_order_relaxed);
        shop_.traffic().lengths.fetch_add(counted_length_, std::memory_order_relaxed);
    }
    const std::uint64_t announced = announced_ ? counted_length_ : 0;
    if (shop_.place() != nullptr)
        buffer_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(announced, piece)));
}

void download::receive(std::string_view bytes) {
    counted_bytes_ += bytes.size();
    shop_.traffic().bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (shop_.place() == nullptr) return;
    if (mode_ == mode::holding || (!sink_.is_open() && announced_ && bytes.size() == counted_length_)) {
        buffer_.append(bytes);
        exchange_.held = mode_ == mode::holding && buffer_.size() >= piece;
        return;
    }
    write_piece(bytes);
    if (!going_well()) throw refused_body(disk_text_);
}

/// File work; what goes wrong with it is noted for result().
template <class F>
void download::on_disk(F&& work) noexcept {
    try {
        work();
    } catch (const disk_error& error) {
        disk_error_ = error.error();
        disk_text_ = error.what();
    } catch (const std::bad_alloc&) {
        disk_error_ = ENOMEM;
        disk_text_ = "no memory";
    }
}

void download::write_piece() noexcept {
    write_piece(writing_);
    writing_.clear();
}

void download::write_piece(std::string_view bytes) noexcept {
    on_disk([&] {
        if (sink_.is_open() || sink_.open(*shop_.place(), hash_)) {
            sink_.write(bytes);
        } else {
            busy_ = true;
            disk_text_ = busy_text();
        }
    });
}

bool download::has_file() const noexcept {
    return shop_.place() != nullptr && asked_ && going_well() && !exchange_.result.failure &&
           is_success(exchange_.result.status);
}

void download::finish_file() noexcept {
    arrived_ = true;
    on_disk([this] {
        const auto existing = shop_.common().overwrite ? sink::overwriting::yes : sink::overwriting::no;
        auto how = sink::result::placed;
        if (sink_.is_open()) {
            sink_.write(buffer_);
            how = sink_.commit(name_, existing);
        } else {
            how = sink_.place(*shop_.place(), hash_, buffer_, name_, existing);
        }
        placed_ = how == sink::result::placed;
        exists_ = how == sink::result::exists;
        busy_ = how == sink::result::held;
        if (!placed_) disk_text_ = exists_ ? exists_text() : busy_text();
    });
}

fetched download::result() {
    fetched out;
    out.id = id_;
    out.asked = asked_;
    out.exists = exists_;
    out.busy = busy_;
    out.disk_error = disk_error_;
    out.placed = placed_;
    out.text = std::move(disk_text_);
    if (!asked_) return out;
    http::detail::answer& got = exchange_.result;
    out.status = got.status;
    if (!going_well() && !arrived_) {
        sink_.drop();
        return out;
    }
    out.bytes = got.bytes;
    out.peer = static_cast<std::int32_t>(got.peer);
    out.retry_after = got.retry_after;
    out.length_unknown = got.length_unknown;
    if (got.failure) {
        out.failure = static_cast<std::int32_t>(*got.failure);
        out.text = std::move(got.text);
        out.system_error = got.system_error;
    } else if (is_success(got.status)) {
        out.content_encoding = got.headers.find("content-encoding");
        out.placed = placed_ || shop_.place() == nullptr;
    } else if (http::detail::is_redirect(got.status)) {
        out.location = got.headers.find("location");
    }
    sink_.drop();
    return out;
}

fetched perform(workshop& shop, const order& what, bool (*give_up)(void*), void* argument) {
    download one{shop, download::mode::blocking};
    if (one.prepare(what)) {
        http::detail::blocking_engine engine{shop.session().internals()};
        if (!engine.perform(one.exchange(), give_up, argument)) {
            fetched stopped;
            stopped.id = what.id;
            return stopped;
        }
        if (one.has_file()) one.finish_file();
    }
    return one.result();
}

namespace {

/// Takes an exchange off the wire that is held, or was when its task ended.
class off_wire {
  public:
    off_wire(http::detail::loop_driver& driver, http::detail::exchange& x) noexcept
        : driver_(driver), x_(x) {}
    ~off_wire() { driver_.stop(x_); }
    off_wire(const off_wire&) = delete;
    off_wire& operator=(const off_wire&) = delete;

  private:
    http::detail::loop_driver& driver_;
    http::detail::exchange& x_;
};

void write_piece(void* one) noexcept { static_cast<download*>(one)->write_piece(); }
void finish_file(void* one) noexcept { static_cast<download*>(one)->finish_file(); }

} // namespace

task<fetched> perform_async(workshop& shop, order what) {
    download one{shop, download::mode::holding};
    if (!one.prepare(what)) co_return one.result();
    http::detail::loop_driver& driver = shop.session().internals().driver();
    const off_wire at_the_end{driver, one.exchange()};
    co_await http::detail::on_wire{driver, one.exchange()};
    while (!one.exchange().over) {
        one.take_piece();
        co_await shop.writers().call(&write_piece, &one);
        if (!one.going_well()) co_return one.result();
        co_await http::detail::on_wire_again{driver, one.exchange()};
    }
    if (one.has_file()) co_await shop.writers().call(&finish_file, &one);
    co_return one.result();
}

} // namespace plait::fetch
