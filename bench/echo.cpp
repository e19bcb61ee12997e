// SPDX-License-Identifier: Apache-2.0
// rows: echo instructions, echo beyond raw, echo system calls, echo rate
// link: uv
//
// What does a message of 64 bytes cost an echo server, with 1, 64 and 1000 connections that have one each on
// its way? User instructions by callgrind and system calls by strace: exact, and the same on a busy machine.
// Rates as paired rounds, raw against itself beside them, for a machine of few processors says little by
// rates.
//
//     echo                              all rows
//     echo serve KIND CONNECTIONS       one server; prints its port; ends when all connections have
//     echo drive PORT CONNECTIONS TRIPS the client; prints the seconds that the trips took
#include "rivals/echo_asio.hpp"
#include "rivals/echo_raw.hpp"
#include "rivals/echo_uv.hpp"

#include <plait/event_loop.hpp>
#include <plait/io.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/wait.h>

namespace {

using clock_type = std::chrono::steady_clock;

// --- the servers
// -----------------------------------------------------------------------------------------------

plait::task<void> echo(plait::io::socket peer) {
    std::array<std::byte, 4096> buffer;
    while (const std::size_t n = co_await peer.read(buffer))
        co_await peer.write_all(std::span{buffer}.first(n));
}

plait::task<void> serve(plait::event_loop& loop, plait::io::listener& door, int connections) {
    std::vector<plait::future<void>> sessions;
    for (int i = 0; i < connections; ++i) {
        plait::io::socket peer = co_await door.accept();
        sessions.push_back(loop.submit(echo, std::move(peer)));
    }
    for (auto& s : sessions) co_await s;
}

int listen_raw(std::uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd, 4096) != 0) std::abort();
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    port = ntohs(at.sin_port);
    return fd;
}

void say_port(std::uint16_t port) {
    std::printf("%u\n", unsigned{port});
    std::fflush(stdout);
}

int run_server(const std::string& kind, int connections) {
    if (kind == "plait") {
        plait::io::listener door = plait::io::listen("127.0.0.1", 0);
        say_port(door.local_port());
        plait::event_loop loop;
        loop.run(serve(loop, door, connections));
        return 0;
    }
    std::uint16_t port = 0;
    const int listener = listen_raw(port);
    say_port(port);
    if (kind == "raw" || kind == "raw again") rivals::echo_raw(listener, connections);
#ifdef PLAIT_BENCH_ASIO
    if (kind == "Asio callbacks") rivals::echo_asio_callbacks(listener, connections);
    if (kind == "Asio coroutines") rivals::echo_asio_coroutines(listener, connections);
#endif
#ifdef PLAIT_BENCH_UV
    if (kind == "libuv") rivals::echo_uv(listener, connections);
#endif
    return 0;
}

std::vector<std::string> peers() {
    std::vector<std::string> kinds{"raw"};
#ifdef PLAIT_BENCH_ASIO
    kinds.insert(kinds.end(), {"Asio callbacks", "Asio coroutines"});
#endif
#ifdef PLAIT_BENCH_UV
    kinds.emplace_back("libuv");
#endif
    return kinds;
}

// --- the client
// ------------------------------------------------------------------------------------------------

int drive(std::uint16_t port, int connections, long trips) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<int> sockets;
    for (int i = 0; i < connections; ++i) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int one = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return 1;
        epoll_event e{};
        e.events = EPOLLIN;
        e.data.fd = fd;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
        sockets.push_back(fd);
    }
    std::array<char, 64> message;
    message.fill('m');
    std::array<epoll_event, 256> events;
    long sent = 0;
    const auto answers = [&](long wanted) { // true: so many have come, and each was followed by a question
        for (long done = 0; done < wanted;) {
            const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < n; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (::read(fd, message.data(), message.size()) != 64 || message[63] != 'm')
                    return false; // 64 bytes come whole
                ++done;
                if (sent < trips && ::write(fd, message.data(), message.size()) == 64) ++sent;
            }
        }
        return true;
    };
    const auto ask_all = [&] {
        for (const int fd : sockets)
            if (sent < trips && ::write(fd, message.data(), message.size()) == 64) ++sent;
    };
    // First one trip each, without the clock: what it costs to accept a connection is another question, and with 15
    // trips for each it would be half of the answer.
    const long all = std::exchange(trips, connections);
    ask_all();
    if (!answers(connections)) return 1;
    sent = 0;
    trips = all;
    const auto begin = clock_type::now();
    ask_all();
    if (!answers(trips)) return 1;
    const std::chrono::duration<double> took = clock_type::now() - begin;
    for (const int fd : sockets) ::close(fd);
    std::printf("%.9f\n", took.count());
    return 0;
}

// --- the measuring
// ---------------------------------------------------------------------------------------------

std::string self() {
    std::array<char, 4096> path{};
    const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

bool installed(const char* tool) {
    return std::system((std::string{"command -v "} + tool + " >/dev/null 2>&1").c_str()) == 0;
}

// Runs a server under `wrapper`, whose report goes to `report`, and the client against it. Seconds, or
// nothing.
std::optional<double> measure(const std::string& wrapper, const std::string& kind, int connections,
                              long trips) {
    FILE* server = ::popen(
        (wrapper + " '" + self() + "' serve '" + kind + "' " + std::to_string(connections)).c_str(), "r");
    unsigned port = 0;
    if (!server || std::fscanf(server, "%u", &port) != 1) return {};
    FILE* client = ::popen(("'" + self() + "' drive " + std::to_string(port) + " " +
                            std::to_string(connections) + " " + std::to_string(trips))
                               .c_str(),
                           "r");
    double seconds = 0;
    const bool fine = client && std::fscanf(client, "%lf", &seconds) == 1;
    if (client) ::pclose(client);
    ::pclose(server);
    if (!fine) return {};
    return seconds;
}

std::string text_of(const std::string& path) {
    std::string text;
    if (FILE* f = std::fopen(path.c_str(), "r")) {
        for (int c = 0; (c = std::fgetc(f)) != EOF;) text += static_cast<char>(c);
        std::fclose(f);
    }
    return text;
}

// What the tool counted for `trips` trips: the difference of two runs, so that beginning and end do not
// count.
template <class Count>
std::optional<double> per_trip(const std::string& wrapper, const std::string& report, const std::string& kind,
                               int connections, Count count) {
    const long few = 2L * connections + 1000;
    const long more = 10'000;
    std::array<double, 2> counted{};
    for (int i = 0; i < 2; ++i) {
        if (!measure(wrapper, kind, connections, few + i * more)) return {};
        const std::optional<double> n = count(text_of(report));
        if (!n) return {};
        counted[static_cast<std::size_t>(i)] = *n;
    }
    return (counted[1] - counted[0]) / static_cast<double>(more);
}

std::optional<double> instructions(const std::string& kind, int connections) {
    const std::string report = "/tmp/plait-echo-" + std::to_string(::getpid());
    const auto n =
        per_trip("exec valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file=" + report, report,
                 kind, connections, [](const std::string& text) -> std::optional<double> {
                     const auto at = text.find("Collected : ");
                     if (at == std::string::npos) return {};
                     return std::strtod(text.c_str() + at + 12, nullptr);
                 });
    ::unlink(report.c_str());
    return n;
}

std::optional<double> system_calls(const std::string& kind, int connections) {
    const std::string report = "/tmp/plait-echo-" + std::to_string(::getpid());
    const auto n =
        per_trip("exec strace -f -c -U calls,name -o " + report, report, kind, connections,
                 [](const std::string& text) -> std::optional<double> {
                     const auto at = text.rfind(" total");
                     if (at == std::string::npos) return {};
                     const auto line = text.rfind('\n', at);
                     return std::strtod(text.c_str() + (line == std::string::npos ? 0 : line), nullptr);
                 });
    ::unlink(report.c_str());
    return n;
}

double median(std::vector<double> v) {
    if (v.empty()) return 0;
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

using values = std::map<std::string, std::optional<double>>;

void print_row(const std::string& row, const char* unit, values v, const char* better,
               std::optional<double> reach) {
    const auto number = [](const std::optional<double>& n) {
        std::array<char, 32> text;
        if (!n || !std::isfinite(*n)) return std::string{"null"};
        std::snprintf(text.data(), text.size(), "%.6g", *n);
        return std::string{text.data()};
    };
    std::string line = "{\"row\": \"" + row + "\", \"unit\": \"" + unit +
                       "\", \"plait\": " + number(v["plait"]) + ", \"peers\": {";
    v.erase("plait");
    bool first = true;
    for (const auto& [name, n] : v) {
        line += std::string{first ? "" : ", "} + "\"" + name + "\": " + number(n);
        first = false;
    }
    line += std::string{"}, \"better\": \""} + better + "\", \"reach\": " + number(reach) + "}";
    std::puts(line.c_str());
    std::fflush(stdout);
}

void count_instructions(int connections) {
    values v;
    values beyond;
    v["plait"] = instructions("plait", connections);
    for (const auto& kind : peers()) v[kind] = instructions(kind, connections);
    const auto raw = v["raw"];
    std::optional<double> reach;
    // Met is raw / plait >= reach: plait has at most 300 more.
    if (raw) reach = *raw / (*raw + 300);
    const std::string n = std::to_string(connections);
    values against_raw{{"plait", v["plait"]}, {"raw", raw}};
    print_row("echo instructions " + n, "user instructions a trip", against_raw, "lower", reach);
    for (const auto& [kind, count] : v)
        if (kind != "raw" && raw && count) beyond[kind] = *count - *raw;
    // What a library adds to the loop, beside what others add: for information.
    print_row("echo beyond raw " + n, "user instructions a trip beyond the raw loop", beyond, "lower", 1.0);
}

void count_system_calls(int connections) {
    values v;
    v["plait"] = system_calls("plait", connections);
    for (const auto& kind : peers()) v[kind] = system_calls(kind, connections);
    print_row("echo system calls " + std::to_string(connections), "a trip", v, "lower", 0.97);
}

void compare_rates(int connections) {
    std::vector<std::string> kinds = peers();
    kinds.emplace_back("plait");
    kinds.emplace_back("raw again");
    std::map<std::string, std::vector<double>> rates;
    std::map<std::string, std::vector<double>> ratios; // to raw in the same round
    const long trips = connections == 1 ? 4000 : 15'000;
    const int rounds = 15;
    for (int round = 0; round < rounds; ++round) {
        std::map<std::string, double> now;
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            const auto& kind =
                kinds[(i + static_cast<std::size_t>(round)) % kinds.size()]; // nobody is always first
            if (const auto seconds = measure("exec", kind, connections, trips))
                rates[kind].push_back(now[kind] = static_cast<double>(trips) / *seconds / 1000);
        }
        for (const auto& [kind, rate] : now)
            if (now.contains("raw")) ratios[kind].push_back(rate / now["raw"]);
    }
    values v;
    for (const auto& [kind, all] : rates) v[kind] = median(all);
    v.erase("raw again");
    // Nobody can be nearer to raw than raw is to itself.
    const double noise = median(ratios["raw again"]);
    std::printf("echo, %d connections: median of %d paired rounds, rate over raw's:", connections, rounds);
    for (const auto& [kind, all] : ratios) std::printf("  %s %.3f", kind.c_str(), median(all));
    std::puts("");
    print_row("echo rate " + std::to_string(connections), "thousand trips/s", v, "higher",
              0.97 * std::min(noise, 1.0));
}

bool wanted(const char* row) {
    const char* only = std::getenv("PLAIT_BENCH_ROW");
    return !only || !*only || std::strcmp(only, row) == 0 || std::strcmp(only, "echo") == 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments{argv + 1, argv + argc};
    if (arguments.size() == 3 && arguments[0] == "serve")
        return run_server(arguments[1], std::stoi(arguments[2]));
    if (arguments.size() == 4 && arguments[0] == "drive")
        return drive(static_cast<std::uint16_t>(std::stoi(arguments[1])), std::stoi(arguments[2]),
                     std::stol(arguments[3]));
    const bool valgrind = installed("valgrind");
    const bool strace = installed("strace");
    if (!valgrind) std::puts("echo: without valgrind no instructions are counted");
    if (!strace) std::puts("echo: without strace no system calls are counted");
    for (const int connections : {1, 64, 1000}) {
        if (valgrind && (wanted("echo instructions") || wanted("echo beyond raw")))
            count_instructions(connections);
        if (strace && wanted("echo system calls")) count_system_calls(connections);
        if (wanted("echo rate")) compare_rates(connections);
    }
    return 0;
}
