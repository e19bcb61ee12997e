// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <plait/http.hpp>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>

#ifndef PLAIT_VERSION_TEXT
#define PLAIT_VERSION_TEXT "unknown"
#endif

namespace plait::app {
namespace {

constexpr int wrong_usage = 2;

/// Seconds that may have a fraction.
CLI::Option* add_seconds(CLI::App& app, const std::string& name, plait::detail::nanoseconds& out,
                         const std::string& help) {
    return app
        .add_option_function<double>(
            name,
            [&out](double seconds) {
                out = plait::detail::saturated(std::chrono::duration<double>(seconds));
            },
            help)
        ->check(CLI::Validator(
            [](std::string& text) {
                double seconds = 0;
                const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
                const bool good = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() &&
                                  std::isfinite(seconds) && seconds > 0;
                return good ? std::string{} : text + " is no number of seconds above 0";
            },
            ""))
        ->type_name("SECONDS");
}

void add_choice(CLI::App& fetch, fetch_command& to) {
    fetch
        .add_option_function<std::string>(
            "-x,--executor",
            [&to](const std::string& name) {
                if (!plait::fetch::strategy_of(name, to.what.executor))
                    throw CLI::ValidationError("--executor",
                                               name + " is none of serial, threads, loop, loops, processes");
            },
            "Where the downloads run: serial, threads, loop, loops or processes (default loop)")
        ->type_name("NAME");
    fetch
        .add_option_function<std::string>(
            "--mark",
            [&to](const std::string& name) {
                if (name == "none")
                    to.marks = mark::none;
                else if (name == "site")
                    to.marks = mark::site;
                else if (name == "worker")
                    to.marks = mark::worker;
                else
                    throw CLI::ValidationError("--mark", name + " is none of none, site, worker");
            },
            "After each download print the site's letter or the worker's number to stdout")
        ->type_name("none|site|worker");
}

void add_input(CLI::App& fetch, fetch_command& to) {
    auto& what = to.what;
    fetch.add_option("URL", what.urls, "What to download");
    fetch
        .add_option("-i,--input", what.input,
                    "A list: one URL a line, perhaps a TAB and a file name; # comments; - is stdin")
        ->type_name("FILE");
    fetch.add_option("-d,--dir", what.directory, "Where the files go (default .); made if it is not there")
        ->type_name("DIR");
    fetch.add_flag("--overwrite", what.overwrite, "Replace files that exist; without it they are failures");
    fetch.add_flag("--discard", what.discard, "Write no files: measure only");
    fetch
        .add_option("--report", what.report,
                    "One JSON object per URL, in the order of the input; - is stdout")
        ->type_name("FILE");
    fetch.add_flag("--json", to.json, "Print a summary as one JSON object");
    fetch.add_flag("-q,--quiet", to.quiet, "No progress, no summary; failures are still told");
    fetch.add_flag("--demo", to.demo,
                   "Start a slow server on two ports and download two sites 80 times each from it");
}

void add_limits(CLI::App& fetch, fetch_command& to) {
    auto& what = to.what;
    fetch
        .add_option("-w,--workers", what.workers,
                    "Threads, loops or processes (default: threads min(-c, 32), else the CPUs)")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    fetch
        .add_option("-c,--connections", what.connections, "Requests in flight, over all workers (default 64)")
        ->check(CLI::Range(1, 100000))
        ->type_name("N");
    fetch.add_option("--per-host", what.per_host, "Requests in flight to one host (default 8, 0: no limit)")
        ->check(CLI::Range(0, 100000))
        ->type_name("N");
    fetch.add_option("--retries", what.retries, "How often a failed request is made again (default 3)")
        ->check(CLI::Range(0, 1000))
        ->type_name("N");
    add_seconds(fetch, "--connect-timeout", what.connect_timeout, "Until connected (default 10)");
    add_seconds(fetch, "--stall-timeout", what.stall_timeout, "Without a byte (default 30)");
    add_seconds(fetch, "--timeout", what.timeout, "For one URL with all its attempts (default none)");
    fetch
        .add_option_function<std::string>(
            "--max-size",
            [&what](const std::string& text) {
                unsigned long long bytes = 0;
                if (!parse_size(text, bytes))
                    throw CLI::ValidationError("--max-size", text + " is no size; write 500K, 20M, 1G");
                what.max_size = bytes;
            },
            "Refuse bodies with more bytes; K, M and G are powers of 1024 (default none)")
        ->type_name("BYTES");
    fetch.add_option("--max-redirects", what.max_redirects, "Redirects that are followed (default 10)")
        ->check(CLI::Range(0, 1000))
        ->type_name("N");
}

void add_http(CLI::App& fetch, fetch_command& to) {
    auto& what = to.what;
    fetch
        .add_option("--header", what.headers,
                    "A header for all requests; not sent on to another host (but User-Agent and Accept)")
        ->type_name("'NAME: VALUE'")
        ->allow_extra_args(false);
    fetch.add_option("--user-agent", what.user_agent, "Instead of plait/" PLAIT_VERSION_TEXT)
        ->type_name("TEXT");
    fetch
        .add_option("--cacert", what.ca_file,
                    "Certificates to trust instead of the system's (or of SSL_CERT_FILE)")
        ->type_name("FILE");
    fetch.add_flag("--insecure", what.insecure, "Do not check TLS certificates");
}

/// What the options say together; empty if that makes sense.
std::string contradiction(const fetch_command& to) {
    const int results =
        (to.json ? 1 : 0) + (to.what.report == "-" ? 1 : 0) + (to.marks != mark::none ? 1 : 0);
    if (results > 1) return "only one of --mark, --json and --report - can go to stdout";
    if (to.demo && (!to.what.urls.empty() || !to.what.input.empty())) return "--demo brings its own URLs";
    if (!to.demo && to.what.urls.empty() && to.what.input.empty())
        return "nothing to download: give URLs, or a list by --input";
    if (to.what.overwrite && to.what.discard) return "--overwrite and --discard exclude each other";
    return {};
}

void add_fetch(CLI::App& fetch, fetch_command& to) {
    fetch.footer("Examples:\n"
                 "  plait fetch https://example.org/a.tar.gz\n"
                 "  plait fetch -i urls.txt -d files --report result.jsonl\n"
                 "  plait fetch --demo --executor threads -w 5\n\n"
                 "Exit status: 0 all done, 1 some failed, 2 wrong usage, 3 could not begin or go on, 130 "
                 "interrupted.");
    add_input(fetch, to);
    add_choice(fetch, to);
    add_limits(fetch, to);
    add_http(fetch, to);
}

} // namespace

bool parse_size(const std::string& text, unsigned long long& out) {
    unsigned long long number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc{} || parsed.ptr == text.data()) return false;
    unsigned shift = 0;
    if (parsed.ptr != end) {
        switch (*parsed.ptr) {
        case 'K':
        case 'k':
            shift = 10;
            break;
        case 'M':
        case 'm':
            shift = 20;
            break;
        case 'G':
        case 'g':
            shift = 30;
            break;
        default:
            return false;
        }
        if (parsed.ptr + 1 != end) return false;
    }
    if (shift != 0 && number >> (64 - shift) != 0) return false;
    out = number << shift;
    return true;
}

command_line parse(int argc, char** argv) {
    command_line out;
    CLI::App app{"Threads, event loops and processes behind one interface.", "plait"};
    app.set_version_flag("--version", "plait " PLAIT_VERSION_TEXT);
    app.require_subcommand(1);
    CLI::App* const fetch = app.add_subcommand("fetch", "Download many URLs at once, whole files only");
    out.fetch.what.user_agent = "plait/" PLAIT_VERSION_TEXT;
    add_fetch(*fetch, out.fetch);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) { // help, version
        out.exit_status = app.exit(done);
        std::cout.flush();
        return out;
    } catch (const CLI::ParseError& wrong) {
        std::cerr << "plait: " << wrong.what() << "\nTry: plait fetch --help\n";
        out.exit_status = wrong_usage;
        return out;
    }
    if (const std::string why = contradiction(out.fetch); !why.empty()) {
        std::cerr << "plait fetch: " << why << "\nTry: plait fetch --help\n";
        out.exit_status = wrong_usage;
        return out;
    }
    out.run = command_line::kind::fetch;
    return out;
}

} // namespace plait::app
