// SPDX-License-Identifier: Apache-2.0
#include "process/helper_client.hpp"

#include "process/kept_helper.hpp"
#include "process/program_role.hpp"
#include "sys/errors.hpp"
#include "sys/pidfd.hpp"
#include "sys/socket_pair.hpp"
#include "sys/spawn.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace plait::detail {
namespace {

std::array<char, token_size> make_token() {
    std::array<unsigned char, token_size> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        throw_errno("getrandom");
    std::array<char, token_size> token{};
    for (std::size_t i = 0; i < token.size(); ++i) token[i] = "0123456789abcdef"[random[i] & 15U];
    return token;
}

constexpr int patience_ms = 5000;
constexpr int for_ever = -1;

// False: it has not ended in so many milliseconds.
bool await_end(const unique_fd& process, int patience) noexcept {
    pollfd entry{process.get(), POLLIN, 0};
    while (::poll(&entry, 1, patience) < 0 && errno == EINTR) {}
    return entry.revents != 0;
}

} // namespace

void helper_client::start() {
    stop();
    socket_pair ends = make_message_pair();
    if (std::optional<kept_helper::forked> forked = fork_kept_helper(ends.far.get())) {
        handle_ = std::move(forked->handle);
        pid_ = forked->pid;
        channel_ = std::move(ends.near);
        return;
    }
    spawn();
}

void helper_client::spawn() {
    if (!program_hosts_workers())
        throw std::logic_error{
            "process_pool: this program cannot host workers; make a plait::program first in main: "
            "int main(int argc, char** argv) { plait::program program{argc, argv}; ... }"};
    stop();
    helper_request hello;
    hello.token = make_token();
    socket_pair ends = make_message_pair();
    const std::string variable =
        std::string{helper_variable} + "=" + std::string{hello.token.data(), hello.token.size()};
    pid_ = spawn_self({program_name()}, {variable}, ends.far.get());
    handle_ = open_pidfd(pid_);
    const int why = handle_ ? send_message(ends.near.get(), std::as_bytes(std::span{&hello, 1})) : errno;
    channel_ = std::move(ends.near);
    if (why != 0) {
        stop();
        throw_errno(why, handle_ ? "process_pool: cannot reach its helper" : "process_pool: pidfd_open");
    }
}

int helper_client::fork(std::uint32_t worker, std::uint64_t incarnation, int memory, int bell, int lifeline,
                        int post, int output) noexcept {
    if (!alive()) return EPIPE;
    helper_request request;
    request.what = helper_request::kind::fork;
    request.worker = worker;
    request.incarnation = incarnation;
    const int descriptors[fork_descriptors + 1] = {memory, bell, lifeline, post, output};
    const std::size_t count = output < 0 ? fork_descriptors : fork_descriptors + 1;
    return send_message(channel_.get(), std::as_bytes(std::span{&request, 1}),
                        std::span{descriptors}.first(count));
}

int helper_client::fork_helper(int channel) noexcept {
    if (!alive()) return EPIPE;
    helper_request request;
    request.what = helper_request::kind::helper;
    const int descriptors[] = {channel};
    return send_message(channel_.get(), std::as_bytes(std::span{&request, 1}), descriptors);
}

std::optional<helper_client::message> helper_client::receive() noexcept {
    if (!alive()) return std::nullopt;
    message result;
    received_message received =
        receive_message(channel_.get(), std::as_writable_bytes(std::span{&result.reply, 1}), false);
    if (received.error == EAGAIN) return std::nullopt;
    if (received.error == EMFILE && received.size == sizeof(result.reply)) {
        // A worker, but no handle of it: nobody could tell when it ends. It goes when its lifeline is closed.
        result.reply.what = helper_reply::kind::fork_failed;
        result.reply.error = EMFILE;
        return result;
    }
    if (received.error != 0 || received.size != sizeof(result.reply)) {
        stop();
        return std::nullopt;
    }
    result.process = std::move(received.descriptors[0]);
    return result;
}

void helper_client::stop() noexcept {
    channel_.reset();
    if (handle_ && !await_end(handle_, patience_ms))
        signal_process(handle_, SIGKILL); // it hangs; its workers have their lifelines
    reap();
}

void helper_client::kill() noexcept {
    // First: once it sees the channel's end it would take its workers with it.
    if (handle_) signal_process(handle_, SIGKILL);
    channel_.reset();
    reap();
}

void helper_client::forget() noexcept {
    channel_.reset();
    handle_.reset();
    pid_ = 0;
}

void helper_client::reap() noexcept {
    if (handle_) {
        // By handle: were the host to ignore SIGCHLD, or to wait for all children, the number could be a
        // stranger's.
        siginfo_t ignored{};
        int reaped = 0;
        do {
            reaped = ::waitid(P_PIDFD, static_cast<id_t>(handle_.get()), &ignored, WEXITED);
        } while (reaped < 0 && errno == EINTR);
        if (reaped < 0) await_end(handle_, for_ever); // the kept helper's child, which reaps it
    } else if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
    }
    handle_.reset();
    pid_ = 0;
}

} // namespace plait::detail
