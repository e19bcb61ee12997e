// SPDX-License-Identifier: Apache-2.0
#include <plait/fetch.hpp>

#include <array>

#include "fetch/report.hpp"
#include "http/escape.hpp"
#include "http/url.hpp"

namespace plait::fetch {
namespace {

constexpr std::array<std::string_view, 5> strategy_texts{"serial", "threads", "loop", "loops", "processes"};

} // namespace

std::string_view text_of(strategy s) noexcept { return strategy_texts[static_cast<std::size_t>(s)]; }

bool strategy_of(std::string_view text, strategy& out) noexcept {
    for (std::size_t i = 0; i < strategy_texts.size(); ++i) {
        if (text != strategy_texts[i]) continue;
        out = static_cast<strategy>(i);
        return true;
    }
    return false;
}

options::options() = default;
options::options(const options&) = default;
options::options(options&&) noexcept = default;
options& options::operator=(const options&) = default;
options& options::operator=(options&&) noexcept = default;
options::~options() = default;

summary::summary() = default;
summary::summary(const summary&) = default;
summary::summary(summary&&) noexcept = default;
summary& summary::operator=(const summary&) = default;
summary::~summary() = default;

observer::~observer() = default;
void observer::ended(const item_end& /*item*/) {}
void observer::moved(const progress& /*so_far*/) {}
void observer::note(std::string_view /*text*/) {}
void observer::stopping(std::size_t /*in_flight*/) {}

int summary::exit_status() const noexcept {
    if (interrupted) return 130;
    if (report_failed) return 3;
    if (!run_error.empty()) return done == 0 ? 3 : 1;
    return failed == 0 ? 0 : 1;
}

std::string summary::to_json(const options& of) const {
    std::string out{"{\"schema\":1,\"executor\":"};
    append_json(out, text_of(of.executor));
    const auto number = [&](std::string_view key, std::uint64_t value) {
        out.append(",\"").append(key).append("\":") += std::to_string(value);
    };
    number("workers", workers);
    number("connections", connections);
    number("items", items);
    number("done", done);
    number("failed", failed);
    number("bytes", bytes);
    number("requests", requests);
    out += ",\"seconds\":";
    append_seconds(out, seconds);
    out += ",\"reasons\":{";
    for (std::size_t i = 0; i < reasons.size(); ++i) {
        if (i != 0) out += ',';
        append_json(out, reasons[i].first);
        out.append(":") += std::to_string(reasons[i].second);
    }
    out += "},\"error\":";
    if (run_error.empty())
        out += "null";
    else
        append_json(out, run_error);
    out.append(",\"interrupted\":").append(interrupted ? "true" : "false");
    out.append(",\"insecure\":").append(of.insecure ? "true" : "false").append("}\n");
    return out;
}

std::string printable(std::string_view text) { return http::detail::escape(text); }
std::string printable_url(std::string_view url) { return printable(http::detail::without_userinfo(url)); }

} // namespace plait::fetch
