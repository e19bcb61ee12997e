// SPDX-License-Identifier: Apache-2.0
#include "sys/spawn.hpp"

#include "sys/errors.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace plait::detail {
namespace {

class file_actions {
  public:
    file_actions() { check(::posix_spawn_file_actions_init(&actions_)); }
    file_actions(const file_actions&) = delete;
    file_actions& operator=(const file_actions&) = delete;
    ~file_actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    void open(int descriptor, const char* path, int flags) {
        check(::posix_spawn_file_actions_addopen(&actions_, descriptor, path, flags, 0));
    }
    void duplicate(int from, int to) { check(::posix_spawn_file_actions_adddup2(&actions_, from, to)); }
    void close_from(int first) { check(::posix_spawn_file_actions_addclosefrom_np(&actions_, first)); }
    const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

  private:
    static void check(int error) {
        if (error != 0) throw_errno(error, "posix_spawn_file_actions");
    }
    posix_spawn_file_actions_t actions_;
};

class attributes {
  public:
    attributes() { ::posix_spawnattr_init(&attributes_); }
    attributes(const attributes&) = delete;
    attributes& operator=(const attributes&) = delete;
    ~attributes() { ::posix_spawnattr_destroy(&attributes_); }

    void fresh_signals_and_group() {
        sigset_t none;
        ::sigemptyset(&none);
        sigset_t all;
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    }
    const posix_spawnattr_t* get() const noexcept { return &attributes_; }

  private:
    posix_spawnattr_t attributes_;
};

// What is to be closed by exec is no standard stream, whatever its number.
bool is_inherited(int descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFD);
    return flags != -1 && (flags & FD_CLOEXEC) == 0;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (std::string& text : strings) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

} // namespace

pid_t spawn_self(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                 int channel) {
    file_actions actions;
    actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    // A standard stream that the host was started without stays usable, and no later descriptor takes its
    // number.
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
        if (!is_inherited(stream)) actions.open(stream, "/dev/null", O_WRONLY);
    actions.duplicate(channel, spawned_channel); // the same number: dup2 in the child clears close-on-exec
    actions.close_from(spawned_channel + 1);

    attributes how;
    how.fresh_signals_and_group();

    std::vector<std::string> arguments_copy = arguments;
    std::vector<std::string> variables;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
        variables.emplace_back(*variable);
    variables.insert(variables.end(), environment.begin(), environment.end());

    pid_t child = -1;
    const int error = ::posix_spawn(&child, "/proc/self/exe", actions.get(), how.get(),
                                    pointers_to(arguments_copy).data(), pointers_to(variables).data());
    if (error != 0) throw_errno(error, "posix_spawn(/proc/self/exe)");
    return child;
}

} // namespace plait::detail
