// SPDX-License-Identifier: Apache-2.0
#include "fetch/verdict.hpp"

#include "fetch/retry.hpp"
#include "fetch/sink.hpp"
#include "http/redirect.hpp"

namespace plait::fetch {
namespace {

using step = verdict::step;

reason reason_of(http::cause why) {
    switch (why) {
    case http::cause::bad_url:
        return reason::url;
    case http::cause::resolve:
        return reason::dns;
    case http::cause::connect:
        return reason::connect;
    case http::cause::tls:
        return reason::tls;
    case http::cause::timeout:
        return reason::timeout;
    case http::cause::stall:
        return reason::stall;
    case http::cause::short_body:
        return reason::short_body;
    case http::cause::too_large:
        return reason::too_large;
    case http::cause::redirect:
        return reason::redirect;
    case http::cause::receiver:
        return reason::disk;
    case http::cause::protocol:
    case http::cause::status:
        break;
    }
    return reason::http;
}

bool is_of_the_network(http::cause why) {
    switch (why) {
    case http::cause::resolve:
    case http::cause::connect:
    case http::cause::timeout:
    case http::cause::stall:
    case http::cause::short_body:
        return true;
    default:
        return false;
    }
}

bool may_pass(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }

verdict failed(reason why, std::string error) { return {step::failed, why, std::move(error), {}}; }

} // namespace

std::string status_text(int status) {
    struct entry {
        int status;
        const char* text;
    };
    static constexpr entry known[] = {
        {206, "Partial Content, which nobody asked for"},
        {304, "Not Modified, which nobody asked for"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {425, "Too Early"},
        {429, "Too Many Requests"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (const entry& e : known)
        if (e.status == status) return std::to_string(status) + ' ' + e.text;
    return "status " + std::to_string(status);
}

verdict judge(const fetched& answer, unsigned failures, unsigned retries) {
    const bool may_retry = failures <= retries;
    if (answer.disk_error != 0) {
        if (blame_for(answer.disk_error) == blame::run)
            return {step::run_failed, reason::disk, answer.text, {}};
        return failed(reason::disk, answer.text);
    }
    if (answer.exists) return failed(reason::exists, answer.text);
    if (answer.busy) return {may_retry ? step::again : step::failed, reason::exists, answer.text, {}};
    if (answer.failure >= 0) {
        const auto why = static_cast<http::cause>(answer.failure);
        if (blame_for(answer.system_error) == blame::run)
            return {step::run_failed, reason_of(why), answer.text, {}};
        if (may_retry && is_of_the_network(why)) return {step::again, reason_of(why), answer.text, {}};
        return failed(reason_of(why), answer.text);
    }
    if (is_success(answer.status)) return {step::done, reason::none, {}, {}};
    if (http::detail::is_redirect(answer.status)) return {step::follow, reason::redirect, {}, {}};

    const std::string text = status_text(answer.status);
    if ((answer.status == 429 || answer.status == 503) && answer.retry_after >= 0) {
        if (answer.retry_after > back_off::longest_retry_after.count())
            return failed(reason::http, text + "; the server asks to wait for " +
                                            std::to_string(answer.retry_after) + " s, the most is " +
                                            std::to_string(back_off::longest_retry_after.count()) + " s");
        if (may_retry)
            return {step::again_when, reason::http, text, std::chrono::seconds(answer.retry_after)};
    }
    if (may_retry && may_pass(answer.status)) return {step::again, reason::http, text, {}};
    return failed(reason::http, text);
}

} // namespace plait::fetch
