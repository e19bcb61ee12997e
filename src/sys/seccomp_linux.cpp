// SPDX-License-Identifier: Apache-2.0
#include "sys/seccomp.hpp"

#include "sys/errors.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace plait::detail {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t this_machine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t this_machine = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t this_machine = 0; // then nothing can be forbidden
#endif

// Calls that came after the headers that we may be built with.
constexpr std::uint32_t call_fchmodat2 = 452;
constexpr std::uint32_t call_setxattrat = 463;
constexpr std::uint32_t call_removexattrat = 466;

constexpr std::uint32_t writing_flags = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

constexpr std::uint32_t offset_of_argument(unsigned number) noexcept {
    // The lower half; both machines are little-endian.
    return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + number * sizeof(std::uint64_t));
}

/// A filter program: one `if` after the other, the number of the call in the accumulator before each.
class filter {
  public:
    filter() {
        load(offsetof(seccomp_data, arch));
        // Another set of numbers (32-bit calls): none of them, since they would be other calls.
        add(BPF_JMP | BPF_JEQ | BPF_K, this_machine, 1, 0);
        refuse(EPERM);
        load_number();
#if defined(__x86_64__)
        constexpr std::uint32_t other_numbers = 0x40000000; // x32
        add(BPF_JMP | BPF_JGE | BPF_K, other_numbers, 0, 1);
        refuse(EPERM);
#endif
    }
    void refuse_call(std::uint32_t number, int error) {
        add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        refuse(error);
    }
    /// If any of these bits is in the argument.
    void refuse_bits(std::uint32_t number, unsigned argument, std::uint32_t bits, int error) {
        add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4);
        load(offset_of_argument(argument));
        add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
        refuse(error);
        load_number();
    }
    /// If the argument is another one.
    void refuse_unless(std::uint32_t number, unsigned argument, std::uint32_t value, int error) {
        add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4);
        load(offset_of_argument(argument));
        add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
        refuse(error);
        load_number();
    }
    void install() {
        add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
        sock_fprog whole{static_cast<unsigned short>(program_.size()), program_.data()};
        // Without it only the privileged may; it is why set-user-id programs lose their rights.
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &whole) != 0)
            throw_errno("process_pool: .isolate: cannot install its filter of system calls");
    }

  private:
    void add(int code, std::uint32_t value, unsigned char if_true, unsigned char if_false) {
        program_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, value});
    }
    void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset), 0, 0); }
    void load_number() { load(offsetof(seccomp_data, nr)); }
    void refuse(int error) {
        add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA), 0,
            0);
    }

    std::vector<sock_filter> program_;
};

// What changes a file system, whatever its arguments. AArch64 has only the newer of them.
constexpr std::uint32_t changing_calls[] = {
#if defined(SYS_creat)
    SYS_creat,       SYS_mkdir,        SYS_rmdir,
    SYS_unlink,      SYS_rename,       SYS_link,
    SYS_symlink,     SYS_mknod,        SYS_chmod,
    SYS_chown,       SYS_lchown,       SYS_utime,
    SYS_utimes,      SYS_futimesat,
#endif
#if defined(SYS_renameat)
    SYS_renameat,
#endif
    SYS_mkdirat,     SYS_unlinkat,     SYS_renameat2,
    SYS_linkat,      SYS_symlinkat,    SYS_mknodat,
    SYS_truncate,    SYS_fchmod,       SYS_fchmodat,
    SYS_fchown,      SYS_fchownat,     SYS_utimensat,
    SYS_setxattr,    SYS_lsetxattr,    SYS_fsetxattr,
    SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
    SYS_mount,       SYS_umount2,      SYS_pivot_root,
    SYS_move_mount,  SYS_open_tree,    SYS_fsopen,
    SYS_fsmount,     SYS_fspick,       SYS_open_by_handle_at,
    call_fchmodat2,  call_setxattrat,  call_removexattrat};

} // namespace

bool can_forbid_calls() noexcept {
    // A filter that is nowhere: where filters are known that is what is wrong with it.
    return this_machine != 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) != 0 && errno == EFAULT;
}

void forbid_calls(const forbidden_calls& calls) {
    filter f;
    // Its rings open files and make sockets, unseen by any filter.
    f.refuse_call(SYS_io_uring_setup, ENOSYS);
    if (calls.network) f.refuse_unless(SYS_socket, 0, AF_UNIX, EACCES);
    if (calls.writing) {
#if defined(SYS_open)
        f.refuse_bits(SYS_open, 1, writing_flags, EROFS);
#endif
        f.refuse_bits(SYS_openat, 2, writing_flags, EROFS);
        f.refuse_call(SYS_openat2, ENOSYS); // its flags are behind a pointer; the C library takes openat then
        for (const std::uint32_t call : changing_calls) f.refuse_call(call, EROFS);
    }
    f.install();
}

} // namespace plait::detail
