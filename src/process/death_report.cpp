// SPDX-License-Identifier: Apache-2.0
#include "process/death_report.hpp"

#include "sys/symbols.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plait::detail {
namespace {

constexpr const char* own_program = "/proc/self/exe"; // what runs, also after an update on disk

template <std::size_t Size>
std::string text_in(const char (&bytes)[Size]) { // NOLINT(modernize-avoid-c-arrays): as it is in the lane
    const char* end = std::find(bytes, bytes + Size, '\0');
    std::string text{static_cast<const char*>(bytes), end};
    // A damaged record may hold anything; a message is to be printable.
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t'; }, '?');
    return text;
}

std::string program_path() {
    char path[4096];
    const ssize_t length = ::readlink(own_program, path, sizeof(path));
    return length > 0 ? std::string{path, static_cast<std::size_t>(length)} : std::string{own_program};
}

// The frames of one module, in one go through its table.
void name_frames(const crash_record::module& m, std::uint32_t number, const crash_record& crash,
                 std::uint32_t first, std::vector<worker_lost::frame>& frames) {
    std::vector<std::uint64_t> places;
    for (std::size_t i = 0; i < frames.size(); ++i)
        if (crash.frames[first + i].module == number) places.push_back(frames[i].place);
    if (places.empty()) return;
    const std::string path = text_in(m.path);
    const std::string shown = path.empty() ? program_path() : path;
    const std::span<const std::byte> id{m.build_id, std::min<std::size_t>(m.build_id_size, longest_build_id)};
    const std::vector<symbol_place> found = find_symbols(path.empty() ? own_program : path, id, places);
    std::size_t next = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (crash.frames[first + i].module != number) continue;
        frames[i].module = shown;
        frames[i].function = found[next].function;
        frames[i].offset = found[next].offset;
        ++next;
    }
}

std::vector<worker_lost::frame> frames_of(const crash_record& crash) {
    const auto end = std::min<std::uint32_t>(crash.frame_count, crash_record::most_frames);
    const auto modules = std::min<std::uint32_t>(crash.module_count, crash_record::most_modules);
    std::vector<worker_lost::frame> frames(end);
    for (std::uint32_t i = 0; i < end; ++i) frames[i].place = crash.frames[i].offset;
    for (std::uint32_t i = 0; i < modules; ++i) name_frames(crash.modules[i], i, crash, 0, frames);
    return frames;
}

// Only what the processor itself refused has an address.
bool has_address(const crash_record& crash) noexcept {
    switch (crash.signal) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
        return crash.code > 0 && crash.code != SI_KERNEL;
    default:
        return false;
    }
}

std::string thrown_in(const crash_record& crash) {
    if (crash.thrown != 1) return {};
    const std::string type = text_in(crash.thrown_type);
    if (type.empty()) return {}; // called without an exception
    const std::string message = text_in(crash.thrown_message);
    return demangled_name(type) + (message.empty() ? "" : ": " + message);
}

} // namespace

std::exception_ptr error_of(death_report report) noexcept {
    try {
        if (report.crash) {
            const crash_record& crash = *report.crash;
            report.details.thrown = thrown_in(crash);
            // One that was survived (a task's own handler jumped out of it) says nothing about this death.
            if (crash.signal != 0 && crash.signal == report.details.signal) {
                report.details.faulted = has_address(crash);
                report.details.address = report.details.faulted ? crash.address : 0;
                report.details.frames = frames_of(crash);
            }
        }
        return std::make_exception_ptr(worker_lost{std::move(report.details)});
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace plait::detail
