// SPDX-License-Identifier: Apache-2.0
#include <plait/trace.hpp>

#include "base/registry.hpp"
#include "sys/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace plait {
namespace {

using detail::order;
using detail::task_node;
using detail::task_state;

struct seen_task {
    std::uint64_t id;
    std::uint64_t parent; // 0: none, or none that lives
    const char* name;
    const char* awaits;
    std::source_location created;
    std::source_location at;
    std::int64_t since;
    task_state state;
    std::uint32_t thread;
};

/// Text on its way to a descriptor. No memory but its own, no locale, no stdio: good in a signal handler.
class writer {
  public:
    explicit writer(int fd) noexcept : fd_{fd} {}
    writer(const writer&) = delete;
    writer& operator=(const writer&) = delete;
    ~writer() { flush(); }

    writer& operator<<(std::string_view text) noexcept {
        while (!text.empty()) {
            if (used_ == buffer_.size()) flush();
            const std::size_t n = std::min(text.size(), buffer_.size() - used_);
            std::memcpy(buffer_.data() + used_, text.data(), n);
            used_ += n;
            text.remove_prefix(n);
        }
        return *this;
    }
    writer& operator<<(std::uint64_t n) noexcept {
        std::array<char, 20> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
        return *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.data())};
    }
    writer& operator<<(const std::source_location& where) noexcept {
        return *this << where.file_name() << ":" << std::uint64_t{where.line()};
    }

  private:
    void flush() noexcept {
        std::string_view left{buffer_.data(), used_};
        while (!left.empty()) {
            const ssize_t n = ::write(fd_, left.data(), left.size());
            if (n > 0)
                left.remove_prefix(static_cast<std::size_t>(n));
            else if (errno != EINTR)
                break;
        }
        used_ = 0;
    }

    int fd_;
    std::size_t used_ = 0;
    std::array<char, 4096> buffer_;
};

// Tasks write these two without atomics, a pointer each: whoever reads while they do gets the old or the new
// one.
__attribute__((no_sanitize("thread"))) void copy_places(const task_node& node, seen_task& to) noexcept {
    to.created = node.created;
    to.at = node.at;
}

// False: nobody there, or gone while we looked.
bool look_at(const task_node& node, seen_task& to) noexcept {
    to.id = node.id.load(order::acquire); // pairs with new_task_node: the rest belongs to this id
    if (to.id == 0) return false;
    // acquire, all of them: none may move behind the second look at the id.
    to.parent = node.parent.load(order::acquire);
    to.name = node.name.load(order::acquire);
    to.awaits = node.awaits.load(order::acquire);
    to.since = node.since.load(order::acquire);
    to.state = node.state.load(order::acquire);
    to.thread = node.thread.load(order::acquire);
    copy_places(node, to);
    return node.id.load(order::acquire) == to.id && to.state != task_state::free;
}

/// The name belongs to the task's owner, who may take it away any moment: the kernel copies it, and only says
/// EFAULT if it is gone.
std::string_view copy_name(const char* name, std::span<char> room) noexcept {
    // Not over the end of a page: the next one may not exist.
    constexpr std::uintptr_t page = 4096;
    const std::size_t to_page_end = page - reinterpret_cast<std::uintptr_t>(name) % page;
    const iovec here{room.data(), std::min(room.size(), to_page_end)};
    const iovec there{const_cast<char*>(name), here.iov_len};
    const ssize_t n = ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0);
    if (n < 0 && errno != EFAULT) return {name, ::strnlen(name, room.size())}; // the system call is forbidden
    if (n <= 0) return "?";
    return {room.data(), ::strnlen(room.data(), static_cast<std::size_t>(n))};
}

/// Memory straight from the kernel.
class scratch {
  public:
    explicit scratch(std::size_t bytes) noexcept
        : bytes_{bytes},
          at_{::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)} {}
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() {
        if (at_ != MAP_FAILED) ::munmap(at_, bytes_);
    }
    explicit operator bool() const noexcept { return at_ != MAP_FAILED; }
    void* get() const noexcept { return at_; }

  private:
    std::size_t bytes_;
    void* at_;
};

std::string_view text_of(task_state s) noexcept {
    switch (s) {
    case task_state::queued:
        return " queued";
    case task_state::running:
        return " running";
    case task_state::waiting:
        return " waiting";
    case task_state::free:
        break;
    }
    return " ending";
}

/// " on NAME", as the kernel has it; nothing if the thread is gone. No more than 24 characters.
class thread_name {
  public:
    explicit thread_name(std::uint32_t number) noexcept {
        std::array<char, 48> path{"/proc/self/task/"};
        char* end =
            std::to_chars(path.data() + std::strlen(path.data()), path.data() + path.size(), number).ptr;
        std::memcpy(end, "/comm", sizeof "/comm");
        const detail::unique_fd comm{::open(path.data(), O_RDONLY | O_CLOEXEC)};
        const ssize_t n = comm ? ::read(comm.get(), text_.data() + 4, text_.size() - 4) : 0;
        if (n > 1) used_ = 4 + static_cast<std::size_t>(n) - 1; // without its line's end
    }
    operator std::string_view() const noexcept { return {text_.data(), used_}; }

  private:
    std::array<char, 24> text_{" on "};
    std::size_t used_ = 0;
};

void show(writer& out, const seen_task& t, std::size_t depth, std::int64_t now) noexcept {
    for (std::size_t i = 0; i < std::min<std::size_t>(depth, 40); ++i) out << "  ";
    out << "#" << t.id;
    std::array<char, 64> room;
    if (t.name) out << " '" << copy_name(t.name, room) << "'";
    out << text_of(t.state);
    if (t.state == task_state::waiting && t.awaits) out << " for " << std::string_view{t.awaits};
    if (t.state == task_state::running && t.thread != 0) out << thread_name(t.thread);
    const auto age = static_cast<std::uint64_t>(std::max<std::int64_t>(now - t.since, 0)) / 100'000'000;
    out << ", " << age / 10 << "." << age % 10 << " s old";
    if (t.at.line() != 0) out << ", at " << t.at;
    if (t.created.line() != 0) out << ", created at " << t.created;
    out << "\n";
}

// `tasks`: by parent, then id. Depth first; the stack is the chain of parents, so it is bounded by a search
// for the place to go on at: behind this task among its parent's children.
void show_tree(writer& out, std::span<const seen_task> tasks, std::span<std::uint32_t> stack,
               std::int64_t now) noexcept {
    const auto first_child = [&](std::uint64_t parent) {
        const auto at = std::lower_bound(tasks.begin(), tasks.end(), parent,
                                         [](const seen_task& t, std::uint64_t p) { return t.parent < p; });
        return static_cast<std::size_t>(at - tasks.begin());
    };
    std::size_t depth = 0;
    std::size_t i = 0; // the roots come first: their parent is 0
    while (i < tasks.size()) {
        show(out, tasks[i], depth, now);
        const std::size_t child = first_child(tasks[i].id);
        if (child < tasks.size() && tasks[child].parent == tasks[i].id) {
            stack[depth++] = static_cast<std::uint32_t>(i);
            i = child;
            continue;
        }
        // The next one of the same parent, or of the nearest ancestor that has one.
        while (i + 1 >= tasks.size() || tasks[i + 1].parent != tasks[i].parent) {
            if (depth == 0) return;
            i = stack[--depth];
        }
        ++i;
    }
}

} // namespace

void dump_tasks(int descriptor, std::size_t most) noexcept {
    const int saved = errno;
    writer out{descriptor};
    most = std::max<std::size_t>(most, 1);
    const scratch memory{most * (sizeof(seen_task) + sizeof(std::uint32_t))};
    if (!memory) {
        out << "plait: no memory to list the tasks\n";
        errno = saved;
        return;
    }
    auto* const tasks = static_cast<seen_task*>(memory.get());
    auto* const stack = reinterpret_cast<std::uint32_t*>(tasks + most);
    std::size_t count = 0;
    std::size_t left_out = 0;
    for (std::size_t c = 0; c < detail::max_registry_chunks; ++c) {
        const task_node* chunk = detail::registry_chunk(c);
        if (!chunk) break;
        for (std::size_t n = 0; n < detail::registry_chunk_nodes(); ++n) {
            seen_task t{};
            if (!look_at(chunk[n], t)) continue;
            if (count < most)
                tasks[count++] = t;
            else
                ++left_out;
        }
    }

    const std::span<seen_task> found{tasks, count};
    std::sort(found.begin(), found.end(), [](const seen_task& a, const seen_task& b) { return a.id < b.id; });
    // Whose parent has ended, or was left out, stands at the top.
    for (seen_task& t : found) {
        const auto p = std::lower_bound(found.begin(), found.end(), t.parent,
                                        [](const seen_task& a, std::uint64_t id) { return a.id < id; });
        if (p == found.end() || p->id != t.parent || t.parent == t.id) t.parent = 0;
    }
    std::sort(found.begin(), found.end(), [](const seen_task& a, const seen_task& b) {
        return a.parent != b.parent ? a.parent < b.parent : a.id < b.id;
    });

    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    out << "plait: " << std::uint64_t{count + left_out}
        << (count + left_out == 1 ? " live task\n" : " live tasks\n");
    show_tree(out, found, {stack, most}, now.tv_sec * 1'000'000'000 + now.tv_nsec);
    if (left_out != 0) out << "... and " << std::uint64_t{left_out} << " more\n";
    errno = saved;
}

} // namespace plait
