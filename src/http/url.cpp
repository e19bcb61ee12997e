// SPDX-License-Identifier: Apache-2.0
#include "http/url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <new>

#include "http/escape.hpp"
#include "http/utf8.hpp"

namespace plait::http::detail {
namespace {

/// A string that curl_url_get allocated.
struct part {
    char* text = nullptr;
    part() = default;
    ~part() { curl_free(text); }
    part(const part&) = delete;
    part& operator=(const part&) = delete;
};

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_token(char c) {
    return is_letter_or_digit(c) || std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

std::string at_column(std::string what, std::size_t index) {
    return std::move(what) + " at column " + std::to_string(index + 1);
}

void lower(std::string& text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
}

} // namespace

struct url_parser::handle {
    CURLU* curl = curl_url();
    handle() = default;
    ~handle() { curl_url_cleanup(curl); }
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
};

std::string url::origin() const { return scheme + "://" + host + ':' + std::to_string(port); }

std::string url::request_text() const {
    if (userinfo.empty()) return text;
    const std::size_t start = scheme.size() + 3;
    return text.substr(0, start) + userinfo + '@' + text.substr(start);
}

void sibling_urls::remember(std::string_view text) {
    base_.clear();
    const std::size_t authority = text.find("://") + 3;
    const std::size_t end = text.find('/', authority);
    if (end == std::string_view::npos) return;
    const auto is_plain = [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == ':'; };
    if (std::all_of(text.begin() + authority, text.begin() + end, is_plain)) base_ = text.substr(0, end);
}

std::string_view sibling_urls::path_of(std::string_view text) const noexcept {
    if (base_.empty() || text.size() <= base_.size() || text[base_.size()] != '/' || !text.starts_with(base_))
        return {};
    const std::string_view path = text.substr(base_.size());
    char before = 0;
    for (const char c : path) {
        const bool plain = is_letter_or_digit(c) || c == '/' || c == '-' || c == '_' || c == '~' ||
                           (c == '.' && before != '/');
        if (!plain) return {};
        before = c;
    }
    return path;
}

url_parser::url_parser() : handle_(std::make_unique<handle>()) {
    if (handle_->curl == nullptr) throw std::bad_alloc();
}

url_parser::~url_parser() = default;

bool url_parser::refuse(std::string why) {
    fault_ = std::move(why);
    return false;
}

bool url_parser::parse(std::string_view text, url& out) {
    if (const std::string_view path = siblings_.path_of(text); !path.empty()) {
        out = model_;
        out.text = text;
        out.path = path;
        return true;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == 0) return refuse(at_column("a NUL byte", i));
        if (byte == '\r' || byte == '\n') return refuse(at_column("a line break", i));
        if (byte == ' ') return refuse(at_column("a space", i));
        if (byte < 0x20 || byte == 0x7f) return refuse(at_column("a control character", i));
        if (byte == '\\') return refuse(at_column("a backslash", i));
    }
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || colon == 0)
        return refuse("no scheme; write http:// or https:// in front");
    std::string scheme{text.substr(0, colon)};
    lower(scheme);
    if (scheme != "http" && scheme != "https")
        return refuse("the scheme \"" + escape(scheme.substr(0, 40)) + "\" is not http or https");
    if (colon + 3 >= text.size() || text[colon + 3] == '/') return refuse("no host after " + scheme + "://");

    text_.assign(text);
    const CURLUcode code = curl_url_set(handle_->curl, CURLUPART_URL, text_.c_str(), CURLU_URLENCODE);
    if (code != CURLUE_OK) return refuse(curl_url_strerror(code));
    if (!take_apart(out)) return false;
    // A model only if its canonical text is the text given: then so it is for its siblings.
    siblings_.forget();
    if (out.text == text && out.userinfo.empty()) {
        siblings_.remember(text);
        model_ = out;
        model_.text.clear();
        model_.path.clear();
    }
    return true;
}

bool url_parser::resolve(const url& base, std::string_view location, url& out) {
    for (const char c : location)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\')
            return refuse("a character that no URL has");
    text_.assign(base.text);
    CURLUcode code = curl_url_set(handle_->curl, CURLUPART_URL, text_.c_str(), 0);
    text_.assign(location);
    if (code == CURLUE_OK)
        code = curl_url_set(handle_->curl, CURLUPART_URL, text_.c_str(),
                            CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK) return refuse(curl_url_strerror(code));
    url found;
    {
        part scheme;
        if (curl_url_get(handle_->curl, CURLUPART_SCHEME, &scheme.text, 0) != CURLUE_OK)
            return refuse("no scheme");
        std::string name = scheme.text;
        lower(name);
        if (name != "http" && name != "https")
            return refuse("the scheme \"" + escape(name.substr(0, 40)) + "\" is not http or https");
    }
    if (!take_apart(found)) return false;
    out = std::move(found);
    return true;
}

bool url_parser::take_apart(url& out) {
    CURLU* const curl = handle_->curl;
    {
        part user;
        part password;
        out.userinfo.clear();
        if (curl_url_get(curl, CURLUPART_USER, &user.text, 0) == CURLUE_OK) out.userinfo = user.text;
        if (curl_url_get(curl, CURLUPART_PASSWORD, &password.text, 0) == CURLUE_OK)
            out.userinfo.append(1, ':').append(password.text);
    }
    (void)curl_url_set(curl, CURLUPART_USER, nullptr, 0);
    (void)curl_url_set(curl, CURLUPART_PASSWORD, nullptr, 0);
    (void)curl_url_set(curl, CURLUPART_FRAGMENT, nullptr, 0);

    part scheme;
    part host;
    part port;
    part path;
    part whole;
    // Punycode only where it is needed: it is a part of libcurl's work that most URLs can do without.
    const unsigned ascii = std::any_of(text_.begin(), text_.end(), [](char c) { return c < 0; })
                               ? static_cast<unsigned>(CURLU_PUNYCODE)
                               : 0U;
    if (const CURLUcode code = curl_url_get(curl, CURLUPART_HOST, &host.text, ascii); code != CURLUE_OK)
        // libidn2 reads the host in the locale's encoding; the command sets C.UTF-8.
        return refuse(ascii == 0 ? std::string{curl_url_strerror(code)}
                                 : "the host cannot be written in ASCII; give it as xn--...");
    if (ascii != 0 && curl_url_set(curl, CURLUPART_HOST, host.text, 0) != CURLUE_OK)
        return refuse("the host cannot be written in ASCII");
    if (curl_url_get(curl, CURLUPART_SCHEME, &scheme.text, 0) != CURLUE_OK ||
        curl_url_get(curl, CURLUPART_PORT, &port.text, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        curl_url_get(curl, CURLUPART_PATH, &path.text, 0) != CURLUE_OK ||
        curl_url_get(curl, CURLUPART_URL, &whole.text, 0) != CURLUE_OK)
        return refuse("libcurl cannot take it apart");

    out.scheme = scheme.text;
    out.host = host.text;
    out.path = path.text;
    out.text = whole.text;
    lower(out.scheme);
    lower(out.host);
    if (out.host.empty()) return refuse("no host after " + out.scheme + "://");
    const std::string_view digits{port.text};
    if (std::from_chars(digits.data(), digits.data() + digits.size(), out.port).ec != std::errc{} ||
        out.port == 0)
        return refuse("port 0 cannot be asked");
    return true;
}

std::string header_fault(std::string_view header) {
    for (std::size_t i = 0; i < header.size(); ++i) {
        const auto byte = static_cast<unsigned char>(header[i]);
        if (byte == 0) return at_column("a NUL byte", i);
        if (byte == '\r' || byte == '\n') return at_column("a line break", i);
        if (byte != '\t' && (byte < 0x20 || byte == 0x7f)) return at_column("a control character", i);
    }
    const std::size_t end = header.find_first_of(":;");
    if (end == std::string_view::npos) return "no colon; write \"Name: value\"";
    if (end == 0) return "no name before the colon";
    for (std::size_t i = 0; i < end; ++i)
        if (!is_token(header[i])) return at_column("a character that no header name may have", i);
    if (header[end] == ';' && end + 1 != header.size()) return "no colon; write \"Name: value\"";
    return {};
}

std::string without_userinfo(std::string_view text) {
    const std::size_t colon = text.find("://");
    const std::size_t start = colon == std::string_view::npos ? 0 : colon + 3;
    const std::size_t end = std::min(text.find_first_of("/?#", start), text.size());
    const std::size_t at = text.substr(0, end).rfind('@');
    if (at == std::string_view::npos || at < start) return std::string{text};
    return std::string{text.substr(0, start)}.append(text.substr(at + 1));
}

} // namespace plait::http::detail
