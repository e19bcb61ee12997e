// SPDX-License-Identifier: Apache-2.0
#include "sys/descriptor_message.hpp"

#include "sys/socket_pair.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace plait::detail {
namespace {

/// Stands before the head of every message.
struct parcel_label {
    std::uint32_t descriptors = 0; ///< in all
    std::uint32_t ahead = 0;       ///< of which so many come through the pair whose end is the first one
};

constexpr std::size_t control_size = CMSG_SPACE(sizeof(int) * most_descriptors_a_message);

iovec part_of(const void* data, std::size_t size) noexcept {
    return {const_cast<void*>(data), size}; // NOLINT: sendmsg does not write
}

int send_parts(int socket, std::span<iovec> parts, std::span<const int> descriptors, bool wait) noexcept {
    alignas(cmsghdr) char control[control_size];
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (!descriptors.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        std::memset(control, 0, message.msg_controllen);
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        if (header == nullptr) return EINVAL;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) >= 0) return 0;
        if (errno != EINTR) return errno;
    }
}

/// Appends what came with one message to `into`; -1 with errno, else the bytes received.
ssize_t receive_parts(int socket, std::span<iovec> parts, std::vector<unique_fd>& into, bool wait) {
    alignas(cmsghdr) char control[control_size];
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t size = -1;
    do {
        size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (size < 0 && errno == EINTR);
    if (size < 0) return size;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            into.push_back(above_stdio(unique_fd{descriptor}));
        }
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        errno = EMSGSIZE;
        return -1;
    }
    return size;
}

/// All but the last message's worth, into a pair of their own; `end` is what the receiver reads them from.
int send_ahead(std::span<const int> descriptors, unique_fd& end) noexcept {
    try {
        socket_pair pair = make_message_pair();
        while (!descriptors.empty()) {
            const std::size_t count = std::min(descriptors.size(), most_descriptors_a_message);
            char byte = 0;
            iovec part{&byte, 1};
            if (const int error =
                    send_parts(pair.near.get(), std::span{&part, 1}, descriptors.first(count), false))
                return error == EAGAIN ? ETOOMANYREFS : error; // nobody reads there yet
            descriptors = descriptors.subspan(count);
        }
        end = std::move(pair.far);
        return 0;
    } catch (const std::system_error& e) {
        return e.code().value();
    } catch (...) {
        return ENOMEM;
    }
}

void receive_ahead(const unique_fd& end, std::vector<unique_fd>& into) {
    char byte = 0;
    iovec part{&byte, 1};
    while (receive_parts(end.get(), std::span{&part, 1}, into, false) > 0) {}
}

} // namespace

int send_parcel(int socket, std::span<const std::byte> head, std::span<const std::byte> body,
                std::span<const int> descriptors, bool wait) noexcept {
    parcel_label label;
    label.descriptors = static_cast<std::uint32_t>(descriptors.size());
    unique_fd ahead;
    int end_of_ahead = -1;
    if (descriptors.size() > most_descriptors_a_message) {
        label.ahead = label.descriptors;
        if (const int error = send_ahead(descriptors, ahead)) return error;
        end_of_ahead = ahead.get();
        descriptors = std::span{&end_of_ahead, 1};
    }
    iovec parts[] = {part_of(&label, sizeof(label)), part_of(head.data(), head.size()),
                     part_of(body.data(), body.size())};
    return send_parts(socket, parts, descriptors, wait);
}

parcel receive_parcel(int socket, std::span<std::byte> head, std::span<std::byte> body, bool wait) noexcept {
    parcel result;
    try {
        parcel_label label;
        iovec parts[] = {part_of(&label, sizeof(label)), part_of(head.data(), head.size()),
                         part_of(body.data(), body.size())};
        ssize_t size = receive_parts(socket, parts, result.descriptors, wait);
        // The other side was closed with something of ours unread: told once, and what it sent is still here.
        if (size < 0 && errno == ECONNRESET) size = receive_parts(socket, parts, result.descriptors, wait);
        if (size < 0) {
            result.error = errno;
            return result;
        }
        if (size == 0) {
            result.ended = true;
            return result;
        }
        if (static_cast<std::size_t>(size) < sizeof(label)) {
            result.error = EBADMSG;
            return result;
        }
        result.size = static_cast<std::size_t>(size) - sizeof(label);
        if (label.ahead != 0 && !result.descriptors.empty()) {
            const unique_fd end = std::move(result.descriptors.front());
            result.descriptors.clear();
            receive_ahead(end, result.descriptors);
        }
        if (result.descriptors.size() > label.descriptors) result.error = EBADMSG;
        result.descriptors.resize(label.descriptors); // what is missing had no number left for it
    } catch (...) {
        result.error = ENOMEM; // and the message is lost
    }
    return result;
}

} // namespace plait::detail
