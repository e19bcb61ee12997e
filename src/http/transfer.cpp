// SPDX-License-Identifier: Apache-2.0
#include "http/transfer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "http/engine.hpp"
#include "http/redirect.hpp"
#include "sys/errors.hpp"
#include "sys/unique_fd.hpp"

namespace plait::http::detail {
namespace {

/// The most that is read of a body that nobody wants, for the sake of using the connection again.
constexpr std::uint64_t most_dropped = 64 * 1024;

bool environment_names_a_proxy() {
    for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
        if (std::getenv(name) != nullptr) return true;
    return false;
}

cause cause_of(CURLcode code, bool body_begun) {
    switch (code) {
    case CURLE_URL_MALFORMAT:
        return cause::bad_url;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return cause::resolve;
    case CURLE_OPERATION_TIMEDOUT:
        return cause::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
        return cause::tls;
    case CURLE_PARTIAL_FILE:
        return cause::short_body;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return body_begun ? cause::short_body : cause::connect;
    case CURLE_COULDNT_CONNECT:
        return cause::connect;
    default:
        return cause::protocol; // 1 (HTTP/0.9), 8, 27 (a header of more than 100 KB) and the like
    }
}

} // namespace

transfer::transfer(engine& home) : engine_(home), url_(curl_url()), curl_(curl_easy_init()) {
    if (!url_ || !curl_) throw std::bad_alloc();
    set_constants();
}

transfer::~transfer() = default;

void transfer::set_constants() {
    CURL* const curl = curl_.get();
    const settings& common = engine_.common();
    const auto set = [curl](CURLoption option, auto value) { (void)curl_easy_setopt(curl, option, value); };
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PRIVATE, this);
    set(CURLOPT_CURLU, url_.get());
    set(CURLOPT_ERRORBUFFER, error_text_);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_HTTP09_ALLOWED, 0L);
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_USERAGENT, common.user_agent.c_str());
    set(CURLOPT_BUFFERSIZE, 128L * 1024L);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PREREQFUNCTION, &on_request);
    set(CURLOPT_PREREQDATA, this);
    set(CURLOPT_OPENSOCKETFUNCTION, &on_open);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_CLOSESOCKETFUNCTION, &engine::on_close);
    set(CURLOPT_CLOSESOCKETDATA, &engine_);
    if (!environment_names_a_proxy()) { // or it asks the environment at each request
        set(CURLOPT_PROXY, "");
        set(CURLOPT_NOPROXY, "*");
    }
    if (!common.ca_file.empty()) set(CURLOPT_CAINFO, common.ca_file.c_str());
    if (common.insecure) {
        set(CURLOPT_SSL_VERIFYPEER, 0L);
        set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

void transfer::prepare(exchange& x, clock::time_point now) {
    exchange_ = &x;
    const hop& what = x.what;
    CURL* const curl = curl_.get();
    set_url(what.url);
    if (headers_set_ != what.headers) {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER,
                               static_cast<curl_slist*>(const_cast<void*>(what.headers)));
        headers_set_ = what.headers;
    }
    if (fresh_set_ != what.fresh) {
        (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, what.fresh ? 1L : 0L);
        fresh_set_ = what.fresh;
    }
    exchange_->result.reset();
    exchange_->held = exchange_->over = false;
    rules_.reset();
    socket_ = CURL_SOCKET_BAD;
    begun_ = connected_ = refused_address_ = false;
    socket_error_ = 0;
    first_progress_ = progress_;
    error_text_[0] = '\0';
    last_byte_ = now;
    connect_by_ = now + std::min(what.connect_timeout, clock::time_point::max() - now);
}

/// As parts rather than as text, which libcurl would parse, put together again and take apart at each
/// request. A text that it cannot take apart leaves nothing, and libcurl then says so.
void transfer::set_url(const std::string& text) {
    if (const std::string_view path = siblings_.path_of(text); !path.empty()) {
        // The rest is as it was; the path is the text's end, so it ends in a null.
        // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
        (void)curl_url_set(url_.get(), CURLUPART_PATH, path.data(), 0);
        return;
    }
    siblings_.forget();
    (void)curl_url_set(url_.get(), CURLUPART_URL, nullptr, 0);
    if (curl_url_set(url_.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK &&
        text.find_first_of("@?") == std::string::npos)
        siblings_.remember(text);
}

void transfer::fail(cause why, std::string text) {
    if (exchange_->result.failure) return; // the first one is the reason for the others
    exchange_->result.failure = why;
    exchange_->result.text = std::move(text);
}

void transfer::caught() noexcept {
    if (!exchange_->result.thrown) exchange_->result.thrown = std::current_exception();
    fail(cause::receiver, "no memory"); // short enough to need none
}

bool transfer::drops_body() const noexcept {
    const int status = exchange_->result.status;
    if (exchange_->drops == discard::all_but_success) return status < 200 || status >= 300 || status == 206;
    return exchange_->drops == discard::redirects && is_redirect(status) &&
           exchange_->result.headers.contains("location");
}

bool transfer::begin() {
    begun_ = true;
    if (exchange_->receiver == nullptr || drops_body()) return true;
    try {
        exchange_->receiver->begin(exchange_->result);
        return true;
    } catch (...) {
        exchange_->result.thrown = std::current_exception();
        fail(cause::receiver, "the receiver refused the answer");
        return false;
    }
}

std::size_t transfer::take_header(std::string_view line) {
    progress_ += line.size();
    last_byte_ = engine_.now_;
    const bool trailer = rules_.complete();
    const bool status_line = !trailer && line.starts_with("HTTP/");
    if (status_line) exchange_->result.headers.clear();
    exchange_->result.where = phase::headers;
    const char* const fault = rules_.see(line);
    exchange_->result.status = rules_.status();
    if (fault != nullptr) {
        fail(cause::protocol, std::string{"the server sent "} + fault);
        return 0;
    }
    if (trailer) {
        exchange_->result.where = phase::body;
        return line.size();
    }
    if (!rules_.complete()) {
        if (!status_line) exchange_->result.headers.append(line);
        return line.size();
    }
    exchange_->result.where = phase::body;
    if (drops_body()) return rules_.has_length() && rules_.length() > most_dropped ? 0 : line.size();
    if (rules_.has_length() && rules_.length() > exchange_->what.max_size && !rules_.chunked()) {
        fail(cause::too_large, "the body has " + std::to_string(rules_.length()) + " bytes, the limit is " +
                                   std::to_string(exchange_->what.max_size));
        return 0;
    }
    return line.size();
}

std::size_t transfer::take_body(std::string_view bytes) {
    progress_ += bytes.size();
    last_byte_ = engine_.now_;
    exchange_->result.bytes += bytes.size();
    if (drops_body()) return exchange_->result.bytes <= most_dropped ? bytes.size() : 0;
    if (exchange_->result.bytes > exchange_->what.max_size) {
        fail(cause::too_large,
             "the body exceeds the limit of " + std::to_string(exchange_->what.max_size) + " bytes");
        return 0;
    }
    if (!begun_ && !begin()) return 0;
    if (exchange_->receiver == nullptr) {
        exchange_->result.body.append(bytes);
        return bytes.size();
    }
    const bool was_held = exchange_->held;
    try {
        exchange_->receiver->receive(bytes);
    } catch (...) {
        exchange_->result.thrown = std::current_exception();
        fail(cause::receiver, "the receiver failed");
        return 0;
    }
    if (exchange_->held && !was_held) engine_.held_.push_back(this);
    return bytes.size();
}

int transfer::before_request(const char* peer, int peer_port, const char* local, int local_port) {
    connected_ = true;
    refused_address_ = false;
    socket_error_ = 0;
    last_byte_ = engine_.now_;
    engine_.next_check_ =
        std::min(engine_.next_check_, engine_.due(*this)); // other deadlines count from now on
    exchange_->result.where = phase::waiting;
    if (exchange_->what.redirected) {
        exchange_->result.peer = kind_of(peer);
        if (!may_connect(exchange_->result.peer, true, exchange_->what.from_public)) {
            fail(cause::redirect, std::string{"a redirect may not lead to the address "} + peer);
            return CURL_PREREQFUNC_ABORT;
        }
    }
    if (exchange_->what.url.starts_with("http:") &&
        engine_.bytes_are_waiting(peer, peer_port, local, local_port)) {
        exchange_->result.stale = true;
        fail(cause::protocol, "the server sent bytes before it was asked");
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

curl_socket_t transfer::open_socket(curl_sockaddr& address) {
    if (!may_connect(kind_of(address.addr), exchange_->what.redirected, exchange_->what.from_public)) {
        refused_address_ = true;
        return CURL_SOCKET_BAD;
    }
    const int fd =
        ::socket(address.family, address.socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.protocol);
    if (fd < 0) {
        socket_error_ = errno;
        return CURL_SOCKET_BAD;
    }
    plait::detail::unique_fd owned{fd};
    engine_.adopt(fd);
    return owned.release();
}

/// Kept connections that the server had closed meanwhile: libcurl tries five of them before it gives up.
bool transfer::died_on_kept_connection(CURLcode code) const {
    if (code != CURLE_GOT_NOTHING && code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR) return false;
    long made = 1;
    (void)curl_easy_getinfo(curl_.get(), CURLINFO_NUM_CONNECTS, &made);
    return made == 0 && progress_ == first_progress_;
}

void transfer::fail_by_code(CURLcode code) {
    if (refused_address_) {
        fail(cause::redirect, "a redirect may not lead from a public to a private address");
        return;
    }
    if (socket_error_ != 0) { // libcurl calls it a connection that could not be made
        exchange_->result.system_error = socket_error_;
        fail(cause::connect, "cannot make a socket: " + plait::detail::errno_text(socket_error_));
        return;
    }
    std::string text = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    fail(cause_of(code, exchange_->result.where == phase::body), std::move(text));
}

void transfer::finish(CURLcode code) {
    CURL* const curl = curl_.get();
    const bool dropped = code == CURLE_WRITE_ERROR && !exchange_->result.failure && drops_body();
    if (code != CURLE_OK && !dropped) {
        exchange_->result.stale = exchange_->result.stale || died_on_kept_connection(code);
        if (!connected_) exchange_->result.where = phase::connecting;
        fail_by_code(code);
    }
    if (exchange_->result.failure) {
        if (exchange_->result.status == 0) return;
    } else if (!begun_) {
        if (!begin()) return;
    }
    const int status = exchange_->result.status;
    exchange_->result.length_unknown =
        !rules_.has_length() && !rules_.chunked() && status != 204 && status != 304;
    if (status >= 300 && status < 400) {
        char* peer = nullptr;
        if (curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &peer) == CURLE_OK && peer != nullptr)
            exchange_->result.peer = kind_of(std::string_view{peer});
    }
    if (status == 429 || status == 503)
        exchange_->result.retry_after =
            retry_after_of(exchange_->result.headers.find("retry-after"), std::time(nullptr));
}

// libcurl is C: no exception may go through it. What comes is the exchange's failure, and libcurl is told of one.
template <class Result, class Callback>
Result transfer::guarded(void* self, Result failed, Callback callback) noexcept {
    transfer& me = *static_cast<transfer*>(self);
    try {
        return callback(me);
    } catch (...) {
        me.caught();
        return failed;
    }
}

std::size_t transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
    return guarded(self, std::size_t{0}, [&](transfer& t) { return t.take_header({data, size * count}); });
}

std::size_t transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
    return guarded(self, std::size_t{0}, [&](transfer& t) { return t.take_body({data, size * count}); });
}

int transfer::on_request(void* self, char* peer, char* local, int peer_port, int local_port) {
    return guarded(self, CURL_PREREQFUNC_ABORT,
                   [&](transfer& t) { return t.before_request(peer, peer_port, local, local_port); });
}

curl_socket_t transfer::on_open(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
    return guarded(self, curl_socket_t{CURL_SOCKET_BAD},
                   [&](transfer& t) { return t.open_socket(*address); });
}

void answer::reset() {
    status = 0;
    headers.clear();
    body.clear();
    effective_url.clear();
    bytes = 0;
    failure.reset();
    where = http::phase::before;
    text.clear();
    thrown = nullptr;
    system_error = 0;
    retry_after = -1;
    length_unknown = stale = false;
    peer = address_kind::unknown;
}

} // namespace plait::http::detail
