// SPDX-License-Identifier: Apache-2.0
// limit PROGRAM [ARGUMENT...]: runs a test program, and every test goes through it (CROSSCOMPILING_EMULATOR).
//
// The environment's PLAIT_LIMIT says how many seconds it may take, 60 if it is not set.
// A test that is late shows where all its threads and descendants stand, and is killed: exit 124.
// A test that ends well but leaves a descendant behind shows that one's stack: exit 125.
// Otherwise its own exit status, or 128 + signal. A healthy test is never traced: LeakSanitizer refuses to
// run then.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

#ifdef PLAIT_SANITIZED
constexpr int slower = 4; // exits take longer
#else
constexpr int slower = 1;
#endif
constexpr auto grace = 200ms * slower; // for descendants that sleep: nothing will end them
constexpr auto busy_grace =
    2000ms * slower; // for those that run: the machine may be loaded, and they may be exiting

void say(const std::string& text) {
    std::string line = "limit: " + text + "\n";
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

std::string command_line(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    std::string text;
    for (std::string word; std::getline(file, word, '\0');) text += (text.empty() ? "" : " ") + word;
    return text;
}

// The children of every thread of `pid`, and theirs: a child belongs to the thread that forked it.
void collect_descendants(pid_t pid, std::vector<pid_t>& into) {
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
        std::ifstream children(thread.path() / "children");
        for (pid_t child = 0; children >> child;) {
            into.push_back(child);
            collect_descendants(child, into);
        }
    }
}

std::vector<pid_t> descendants() {
    std::vector<pid_t> all;
    collect_descendants(getpid(), all);
    return all;
}

void reap_all() {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {}
}

bool ends_within(int pidfd, std::chrono::milliseconds time) {
    pollfd entry{pidfd, POLLIN, 0};
    const auto end = steady::now() + time;
    for (;;) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady::now());
        int count = poll(&entry, 1, static_cast<int>(std::max(left, 0ms).count()));
        if (count > 0) return true;
        if (count == 0) return false;
        if (errno != EINTR) return true;
    }
}

bool catches(pid_t pid, int signal) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("SigCgt:"))
            return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
    return false;
}

bool sleeps(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    const auto end_of_name = line.rfind(')');
    return end_of_name != std::string::npos && line.substr(end_of_name + 2, 1) == "S";
}

void show_stack(pid_t pid) {
    say("process " + std::to_string(pid) + ": " + command_line(pid));
    pid_t tracer = fork();
    if (tracer == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        unsetenv("DEBUGINFOD_URLS"); // no network
        const std::string number = std::to_string(pid);
        execlp("eu-stack", "eu-stack", "-n", "64", "-p", number.c_str(), nullptr);
        say(std::string("no stacks: eu-stack (package elfutils): ") + std::strerror(errno));
        _exit(127);
    }
    int pidfd = static_cast<int>(syscall(SYS_pidfd_open, tracer, 0));
    if (!ends_within(pidfd, 20s)) kill(tracer, SIGKILL);
    close(pidfd);
    waitpid(tracer, nullptr, 0);
}

void kill_all() {
    // A child may fork while the list is read: again until none is left.
    for (int round = 0; round < 1000; ++round) {
        reap_all();
        const auto left = descendants();
        if (left.empty()) return;
        for (pid_t pid : left) kill(pid, SIGKILL);
        poll(nullptr, 0, 5);
    }
}

void show_and_kill_all() {
    for (pid_t pid : descendants()) show_stack(pid);
    kill_all();
}

void add_option(const char* name, const std::string& options) {
    const char* given = std::getenv(name);
    setenv(name, (given != nullptr ? options + ":" + given : options).c_str(), 1); // what comes later wins
}

void set_sanitizer_options() {
    const std::string symbolizer = "external_symbolizer_path=/usr/lib/llvm-19/bin/llvm-symbolizer";
    add_option("ASAN_OPTIONS", symbolizer + ":detect_stack_use_after_return=1:strict_init_order=1");
    add_option("UBSAN_OPTIONS", symbolizer + ":print_stacktrace=1");
    add_option("TSAN_OPTIONS", symbolizer + ":halt_on_error=1:suppressions=" PLAIT_TSAN_SUPPRESSIONS);
}

[[noreturn]] void become_test(char** command) {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // should CTest kill the launcher
    set_sanitizer_options();
    // What runs behind a shell's `&` or under nohup has inherited ignored signals; tests send them.
    for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
    execvp(command[0], command);
    say(std::string("cannot run ") + command[0] + ": " + std::strerror(errno));
    _exit(127);
}

int exit_status(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const int signal = WTERMSIG(status);
    say(std::string("killed by ") + strsignal(signal) + " (SIG" + sigabbrev_np(signal) + ")");
    return 128 + signal;
}

int late(pid_t test, int pidfd, const std::string& seconds) {
    say("still running after " + seconds + " s: " + command_line(test));
    if (catches(test, SIGUSR1)) { // the tests' main prints the tree of tasks: coroutines are in no stack
        kill(test, SIGUSR1);
        ends_within(pidfd, 1s);
    }
    show_and_kill_all();
    return 124;
}

int ended(int status) {
    const auto begin = steady::now();
    for (;;) {
        reap_all();
        const auto left = descendants();
        if (left.empty()) return status;
        const auto since = steady::now() - begin;
        if (since >= busy_grace || (since >= grace && std::all_of(left.begin(), left.end(), sleeps))) break;
        poll(nullptr, 0, 5);
    }
    say("left behind after the end of the test:");
    show_and_kill_all();
    return status != 0 ? status : 125;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        say("usage: PLAIT_LIMIT=SECONDS limit PROGRAM [ARGUMENT...]");
        return 2;
    }
    const char* given = std::getenv("PLAIT_LIMIT");
    const std::string seconds = given != nullptr ? given : "60";
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t test = fork();
    if (test == 0) become_test(argv + 1);
    const int pidfd = test > 0 ? static_cast<int>(syscall(SYS_pidfd_open, test, 0)) : -1;
    if (pidfd < 0) {
        say(std::string("cannot start: ") + std::strerror(errno));
        return 2;
    }
    if (!ends_within(pidfd, std::chrono::milliseconds(std::lround(std::stod(seconds) * 1000)))) {
        return late(test, pidfd, seconds);
    }
    int status = 0;
    waitpid(test, &status, 0);
    return ended(exit_status(status));
}
