// SPDX-License-Identifier: Apache-2.0
#include "sys/socket_pair.hpp"

#include "sys/errors.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace plait::detail {
namespace {

socket_pair make_pair_of(int type) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    unique_fd near{ends[0]};
    unique_fd far{ends[1]};
    socket_pair pair;
    pair.near = above_stdio(std::move(near));
    pair.far = above_stdio(std::move(far));
    if (!pair.near || !pair.far) throw_errno("fcntl(F_DUPFD_CLOEXEC)");
    return pair;
}

} // namespace

socket_pair make_message_pair() { return make_pair_of(SOCK_SEQPACKET); }

socket_pair make_stream_pair() { return make_pair_of(SOCK_STREAM); }

int send_message(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) noexcept {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()}; // NOLINT: sendmsg does not write
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_passed_descriptors)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors.size() > max_passed_descriptors) return EINVAL;
    if (!descriptors.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        if (header == nullptr) return EINVAL;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return 0;
        if (errno != EINTR) return errno;
    }
}

received_message receive_message(int socket, std::span<std::byte> buffer, bool wait) noexcept {
    received_message received;
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_passed_descriptors)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t size = -1;
    do {
        size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        received.error = errno;
        return received;
    }
    received.size = static_cast<std::size_t>(size);
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count && i < max_passed_descriptors; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            received.descriptors[i] = above_stdio(unique_fd{descriptor});
            if (!received.descriptors[i]) received.error = EMFILE;
        }
    }
    // There is room for all that is ever sent, so what was left out had no number left for it.
    if ((message.msg_flags & MSG_CTRUNC) != 0) received.error = EMFILE;
    if ((message.msg_flags & MSG_TRUNC) != 0) received.error = EMSGSIZE;
    return received;
}

} // namespace plait::detail
