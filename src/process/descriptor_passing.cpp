// SPDX-License-Identifier: Apache-2.0
#include "process/descriptor_passing.hpp"

#include "sys/errors.hpp"
#include "sys/futex.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace plait::detail {
std::vector<int> numbers_of(const descriptor_list& list) {
    std::vector<int> numbers;
    numbers.reserve(list.all.size());
    for (const shared_descriptor& d : list.all) numbers.push_back(d.get());
    return numbers;
}

descriptor_list to_list(std::vector<unique_fd>&& received) {
    descriptor_list list;
    list.all.reserve(received.size());
    for (unique_fd& fd : received)
        list.all.push_back(fd ? shared_descriptor{fd.release()} : shared_descriptor{});
    return list;
}

int pass_descriptors(int socket, std::uint64_t task, const descriptor_list& list, bool wait) noexcept {
    const auto send = [&](std::span<const int> numbers) {
        return send_parcel(socket, std::as_bytes(std::span{&task, 1}), {}, numbers, wait);
    };
    std::array<int, 32> few; // for which no memory is needed
    if (list.all.size() <= few.size()) {
        for (std::size_t i = 0; i < list.all.size(); ++i) few[i] = list.all[i].get();
        return send(std::span{few}.first(list.all.size()));
    }
    try {
        return send(numbers_of(list));
    } catch (...) {
        return ENOMEM;
    }
}

int receive_descriptors(int socket, std::uint64_t& task, descriptor_list& into, bool wait) noexcept {
    parcel message = receive_parcel(socket, std::as_writable_bytes(std::span{&task, 1}), {}, wait);
    if (message.error != 0) return message.error;
    if (message.ended || message.size != sizeof(task)) return EBADMSG;
    try {
        into = to_list(std::move(message.descriptors));
        return 0;
    } catch (...) {
        return ENOMEM;
    }
}

worker_post::worker_post(int socket) noexcept : socket_{socket}, cookie_{cookie()} {}

std::uint64_t worker_post::cookie() const noexcept {
    std::uint64_t value = 0;
    socklen_t size = sizeof(value);
    return ::getsockopt(socket_, SOL_SOCKET, SO_COOKIE, &value, &size) == 0 ? value : 0;
}

bool worker_post::is_ours() const noexcept { return cookie_ != 0 && cookie() == cookie_; }

// The parent takes a result's message when it takes the result, without waiting for us: there will be room.
void worker_post::send(std::uint64_t task, const descriptor_list& list) {
    if (!is_ours())
        throw_errno(EBADF, "process_pool: the handles in the result cannot be sent: the task has closed "
                           "descriptors that are not its own");
    const std::int64_t until = monotonic_now() + patience_with_post;
    int error = 0;
    while (is_full(error = pass_descriptors(socket_, task, list, true)) && monotonic_now() < until) {
        const timespec pause{0, pause_when_full};
        ::nanosleep(&pause, nullptr);
    }
    if (error != 0)
        throw_errno(error, "process_pool: the " + std::to_string(list.all.size()) +
                               " handles in the result cannot be sent");
}

} // namespace plait::detail
