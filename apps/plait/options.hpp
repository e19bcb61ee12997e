// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/fetch.hpp>

#include <string>

namespace plait::app {

enum class mark { none, site, worker };

/// What `plait fetch` was asked to do.
struct fetch_command {
    fetch::options what;
    mark marks = mark::none;
    bool json = false;
    bool quiet = false;
    bool demo = false;
};

/// What the command line came to.
struct command_line {
    enum class kind { fetch, exit } run = kind::exit;
    int exit_status = 0; // for kind::exit: help or version has been printed, or what is wrong
    fetch_command fetch;
};

/// Declares all options, and reads them. Prints help, version and faults itself.
[[nodiscard]] command_line parse(int argc, char** argv);

/// "64K", "1M", "2G": powers of 1024. False if it is no size.
[[nodiscard]] bool parse_size(const std::string& text, unsigned long long& out);

} // namespace plait::app
