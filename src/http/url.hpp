// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace plait::http::detail {

/// A URL that may be asked: http or https, taken apart by libcurl's parser, the plain path on a host that it
/// has seen aside (decision 0024: two parsers that disagree about a host are how requests end up where nobody
/// wanted them).
struct url {
    std::string text;     // canonical, without userinfo and fragment: what messages and reports may show
    std::string scheme;   // "http" or "https"
    std::string host;     // lower case, punycode, brackets around an IPv6 address
    std::string path;     // as in the text, still percent-encoded, without the query
    std::string userinfo; // "user:password" percent-encoded as given, or empty
    std::uint16_t port = 0;

    /// What decides whether secrets may go along: scheme, host and port.
    [[nodiscard]] std::string origin() const;
    /// The text with its userinfo: only for libcurl.
    [[nodiscard]] std::string request_text() const;
};

/// Recognises URLs that begin with the very bytes of one that libcurl has taken apart, "scheme://authority",
/// and go on with a path of letters, digits and `-_~/.` alone (no "/." either). No parser, libcurl's
/// included, has anything to decide about such a path, so it can be taken as it stands: that spares 17,000
/// instructions a URL in a list where most have the host of the one before.
class sibling_urls {
  public:
    /// `text` has been taken apart and has no userinfo. Forgets the former one even if this one is no model.
    void remember(std::string_view text);
    void forget() noexcept { base_.clear(); }
    /// The path of a sibling, else empty.
    [[nodiscard]] std::string_view path_of(std::string_view text) const noexcept;

  private:
    std::string base_;
};

/// Parses URLs; keeps libcurl's handle between calls. Not for several threads at once.
class url_parser {
  public:
    url_parser();
    ~url_parser();
    url_parser(const url_parser&) = delete;
    url_parser& operator=(const url_parser&) = delete;

    /// True, and `out` filled; or false and fault() says what is wrong, with the column where there is one.
    [[nodiscard]] bool parse(std::string_view text, url& out);
    /// Where a Location leads from `base`. Blanks and letters beyond ASCII are encoded: servers do send them.
    [[nodiscard]] bool resolve(const url& base, std::string_view location, url& out);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

  private:
    [[nodiscard]] bool refuse(std::string why);
    [[nodiscard]] bool take_apart(url& out);

    struct handle;
    std::unique_ptr<handle> handle_;
    std::string fault_;
    std::string text_; // with a final zero for libcurl
    sibling_urls siblings_;
    url model_; // what the siblings are like
};

/// Null if the header may be sent, else what is wrong with it. A header is `Name: value`, `Name:` or `Name;`.
[[nodiscard]] std::string header_fault(std::string_view header);

/// The text of a URL for a human, without userinfo, even if it cannot be parsed.
[[nodiscard]] std::string without_userinfo(std::string_view text);

} // namespace plait::http::detail
