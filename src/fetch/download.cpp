// SPDX-License-Identifier: Apache-2.0
#include "fetch/download.hpp"

#include <charconv>
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
    if (!common_.directory.empty()) place_ = std::make_unique<directory>(common_.directory);
    for (const std::string& header : common_.headers) {
        all_.add(header);
        if (http::detail::goes_anywhere(header)) some_.add(header);
    }
}

std::string download::exists_text() const { return http::detail::escape(name_) + " exists"; }

bool download::prepare(const order& what) {
    id_ = what.id;
    name_ = what.name;
    hash_ = what.hash;
    asked_ = true;
    exists_ = busy_ = false;
    disk_error_ = 0;
    disk_text_.clear();
    sink_.drop();
    leave_traffic();
    if (shop_.place() != nullptr && !shop_.common().overwrite && shop_.place()->has(name_)) {
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
    const char* const end = length.data() + length.size();
    if (!length.empty() && std::from_chars(length.data(), end, counted_length_).ptr == end) {
        announced_ = true;
        shop_.traffic().announced.fetch_add(1, std::memory_order_relaxed);
        shop_.traffic().lengths.fetch_add(counted_length_, std::memory_order_relaxed);
    }
    if (shop_.place() == nullptr) return;
    try {
        if (sink_.open(*shop_.place(), hash_)) return;
        busy_ = true;
        disk_text_ = "another run is downloading " + http::detail::escape(name_);
    } catch (const disk_error& error) {
        disk_error_ = error.error();
        disk_text_ = error.what();
    }
    throw refused_body(disk_text_);
}

void download::receive(std::string_view bytes) {
    counted_bytes_ += bytes.size();
    shop_.traffic().bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (shop_.place() == nullptr) return;
    try {
        sink_.write(bytes);
    } catch (const disk_error& error) {
        disk_error_ = error.error();
        disk_text_ = error.what();
        throw;
    }
}

void download::place_file(fetched& out) {
    if (shop_.place() == nullptr) {
        out.placed = true;
        return;
    }
    try {
        const auto mode = shop_.common().overwrite ? sink::overwriting::yes : sink::overwriting::no;
        if (sink_.commit(name_, mode) == sink::result::placed) {
            out.placed = true;
        } else {
            out.exists = true;
            out.text = exists_text();
        }
    } catch (const disk_error& error) {
        out.disk_error = error.error();
        out.text = error.what();
    }
}

fetched download::result() {
    fetched out;
    out.id = id_;
    out.asked = asked_;
    out.exists = exists_;
    out.busy = busy_;
    out.disk_error = disk_error_;
    if (exists_ || busy_ || disk_error_ != 0) {
        out.status = exists_ ? 0 : exchange_.result.status;
        out.text = std::move(disk_text_);
        sink_.drop();
        return out;
    }
    http::detail::answer& got = exchange_.result;
    out.status = got.status;
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
        place_file(out);
    } else if (http::detail::is_redirect(got.status)) {
        out.location = got.headers.find("location");
    }
    sink_.drop();
    return out;
}

fetched perform(workshop& shop, const order& what, bool (*give_up)(void*), void* argument) {
    download one{shop};
    if (one.prepare(what)) {
        http::detail::blocking_engine engine{shop.session().internals()};
        if (!engine.perform(one.exchange(), give_up, argument)) {
            fetched stopped;
            stopped.id = what.id;
            return stopped;
        }
    }
    return one.result();
}

task<fetched> perform_async(workshop& shop, order what) {
    download one{shop};
    if (one.prepare(what))
        co_await http::detail::on_wire{shop.session().internals().driver(), one.exchange()};
    co_return one.result();
}

} // namespace plait::fetch
