// SPDX-License-Identifier: Apache-2.0
#include "process/helper_protocol.hpp"
#include "process/process_worker.hpp"
#include "sys/pidfd.hpp"
#include "sys/socket_pair.hpp"
#include "sys/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <span>
#include <string_view>
#include <vector>

extern "C" {
[[gnu::weak]] void __gcov_dump();
[[gnu::weak]] int __llvm_profile_write_file();
}

namespace plait::detail {

void flush_standard_streams() noexcept {
    std::cout.flush();
    std::cerr.flush();
    std::clog.flush();
    std::fflush(stdout);
    std::fflush(stderr);
}

void leave_process(int status) noexcept {
    flush_standard_streams();
    std::fflush(nullptr);
    if (&__gcov_dump != nullptr) __gcov_dump();
    if (&__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
    ::_exit(status);
}

namespace {

void be_the_first_to_go() noexcept {
    // Where memory runs out the kernel should take a worker, which costs one task, and not the program.
    const unique_fd file{::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)};
    constexpr std::string_view score = "500";
    if (file && ::write(file.get(), score.data(), score.size()) < 0) {
        // Forbidden (a container's profile): then the kernel judges by size alone, as it would without us.
    }
}

/// Single-threaded, and runs no user code but static initialisers: so it may fork, as often as it is asked.
class helper {
  public:
    explicit helper(int channel) : channel_{channel} {}

    [[noreturn]] void run() {
        parent_ = open_pidfd(::getppid());
        begin();
        for (;;) {
            pollfd entries[] = {
                {channel_.get(), POLLIN, 0}, {deaths_.get(), POLLIN, 0}, {parent_.get(), POLLIN, 0}};
            if (::poll(entries, std::size(entries), -1) < 0 && errno != EINTR) end();
            if (entries[1].revents != 0) bury_the_dead();
            if (entries[0].revents != 0) serve();
            // Not only the socket's end: a child that the program forked may still hold a copy of it.
            if (entries[2].revents != 0) end();
        }
    }

  private:
    struct child {
        pid_t pid;
        std::uint64_t incarnation;
    };

    void begin() {
        sigset_t deaths;
        ::sigemptyset(&deaths);
        ::sigaddset(&deaths, SIGCHLD);
        ::sigprocmask(SIG_BLOCK, &deaths, nullptr);
        deaths_.reset(::signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!deaths_) end();
        helper_reply ready;
        ready.error = 0;
        reply(ready);
    }

    void serve() {
        helper_request request;
        received_message message =
            receive_message(channel_.get(), std::as_writable_bytes(std::span{&request, 1}), false);
        if (message.error == EAGAIN) return;
        if (message.error == EMFILE && message.size == sizeof(request)) {
            refuse(request.incarnation, EMFILE);
            return;
        }
        if (message.error != 0 || message.size != sizeof(request)) end(); // gone, or not our parent
        if (request.what == helper_request::kind::fork) start(request, message);
        if (request.what == helper_request::kind::helper) divide(message);
    }

    /// One more helper, for a pool of its own; in the new process this one becomes it. Its parent, by whose end it ends,
    /// is the program all the same. No workers are ours.
    void divide(received_message& message) {
        std::fflush(nullptr);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::setpgid(0, 0);
            channel_ = std::move(message.descriptors[0]);
            return begin();
        }
        if (pid < 0) return refuse(0, errno);
        announce({.what = helper_reply::kind::forked, .pid = pid});
    }

    void start(const helper_request& request, received_message& message) {
        std::fflush(nullptr); // what static initialisers left in buffers must not be printed by every worker
        const pid_t pid = ::fork();
        if (pid == 0) {
            static_assert(fork_descriptors + 1 <= max_passed_descriptors);
            worker_start start;
            start.memory = std::move(message.descriptors[0]);
            start.bell = std::move(message.descriptors[1]);
            start.lifeline = std::move(message.descriptors[2]);
            start.post = std::move(message.descriptors[3]);
            start.output = std::move(message.descriptors[4]);
            run_worker(std::move(start));
        }
        if (pid < 0) {
            refuse(request.incarnation, errno);
            return;
        }
        ::setpgid(pid, pid); // here as well as in the child: whoever comes first
        children_.push_back({pid, request.incarnation});
        announce({.what = helper_reply::kind::forked, .pid = pid, .incarnation = request.incarnation});
    }

    /// Of a process that has just been forked.
    void announce(const helper_reply& forked) {
        const unique_fd handle = open_pidfd(forked.pid); // cannot be a stranger: only we reap it
        if (!handle) {
            const int why = errno;
            ::kill(forked.pid, SIGKILL);
            refuse(forked.incarnation, why);
            return;
        }
        const int descriptors[] = {handle.get()};
        reply(forked, descriptors);
    }

    void bury_the_dead() {
        signalfd_siginfo ignored[8];
        while (::read(deaths_.get(), ignored, sizeof(ignored)) > 0) {}
        siginfo_t death{};
        while (::waitid(P_ALL, 0, &death, WEXITED | WNOHANG | WNOWAIT) == 0 && death.si_pid != 0) {
            // Not reaped yet, so the number of its group is still its own: what the task has started goes
            // with it.
            ::kill(-death.si_pid, SIGKILL);
            int status = 0;
            rusage usage{};
            if (::wait4(death.si_pid, &status, 0, &usage) != death.si_pid) break;
            const auto found = std::ranges::find(children_, death.si_pid, &child::pid);
            if (found != children_.end()) {
                helper_reply answer;
                answer.what = helper_reply::kind::exited;
                answer.pid = death.si_pid;
                answer.incarnation = found->incarnation;
                answer.code = death.si_code;
                answer.status = death.si_status;
                answer.peak_memory = std::int64_t{usage.ru_maxrss} * 1024;
                children_.erase(found);
                reply(answer);
            }
            death = {};
        }
    }

    void refuse(std::uint64_t incarnation, int error) {
        helper_reply answer;
        answer.what = helper_reply::kind::fork_failed;
        answer.incarnation = incarnation;
        answer.error = error;
        reply(answer);
    }

    void reply(const helper_reply& answer, std::span<const int> descriptors = {}) {
        if (send_message(channel_.get(), std::as_bytes(std::span{&answer, 1}), descriptors) != 0) end();
    }

    /// The parent is gone: nobody may outlive it.
    [[noreturn]] void end() {
        for (const child& c : children_) {
            ::kill(-c.pid, SIGKILL);
            ::kill(c.pid, SIGKILL); // if it has not made its group yet
        }
        while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {}
        leave_process(0);
    }

    unique_fd channel_;
    unique_fd deaths_;
    unique_fd parent_;
    std::vector<child> children_;
};

} // namespace

void run_helper(int channel, const std::array<char, token_size>& token) {
    ::prctl(PR_SET_NAME, "plait-helper");
    helper_request hello;
    const received_message message =
        receive_message(channel, std::as_writable_bytes(std::span{&hello, 1}), true);
    if (message.error != 0 || message.size != sizeof(hello) || hello.what != helper_request::kind::hello ||
        hello.token != token)
        ::_exit(1);
    be_the_first_to_go();
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE,
                &no_core); // a worker's core would be the size of its task's data, for each crash
    helper{channel}.run();
}

} // namespace plait::detail
