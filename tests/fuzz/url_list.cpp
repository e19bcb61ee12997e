// SPDX-License-Identifier: Apache-2.0
// component: fetch
// Any bytes as a list of URLs: each line is a URL of ours with a safe name, or has a fault that can be
// printed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "fetch/input.hpp"
#include "fetch/name.hpp"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check_name(std::string_view name) {
    require(!name.empty() && name.size() <= plait::fetch::longest_name);
    require(name != "." && name != "..");
    require(name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos);
}

void check_url(const plait::http::detail::url& url) {
    require(url.scheme == "http" || url.scheme == "https");
    require(!url.host.empty());
    const auto begin = url.text.find("://") + 3; // what is printed never shows a password
    require(url.text.substr(begin, url.text.find('/', begin) - begin).find('@') == std::string::npos);
    check_name(plait::fetch::name_from_path(url.path));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    plait::detail::unique_fd list{memfd_create("list", MFD_CLOEXEC)};
    require(write(list.get(), data, size) == static_cast<ssize_t>(size) &&
            lseek(list.get(), 0, SEEK_SET) == 0);
    plait::fetch::input input{std::move(list), "list"};
    plait::fetch::name_table names;
    for (plait::fetch::input_item item; input.next(item);) {
        if (!item.fault.empty()) {
            for (char c : item.fault) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
            continue;
        }
        check_url(item.url);
        const auto name = item.name.empty() ? plait::fetch::name_from_path(item.url.path)
                                            : plait::fetch::name_from_list(item.name);
        check_name(names.reserve(name));
    }
    return 0;
}
