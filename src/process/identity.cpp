// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/identity.hpp>

#include "sys/build_id.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace plait::detail {
namespace {

constexpr std::size_t longest_path = 4096;

struct module_info {
    std::uintptr_t base = 0;
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    bool main = false;
    std::string path;
    std::array<unsigned char, longest_build_id> build_id{};
    std::size_t build_id_size = 0;

    bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
    bool same_build(const module_info& other) const noexcept {
        return build_id_size == other.build_id_size && build_id == other.build_id;
    }
};

// Runs under the loader's lock: it may only look.
int add_module(dl_phdr_info* info, std::size_t, void* into) {
    auto& modules = *static_cast<std::vector<module_info>*>(into);
    module_info module;
    module.base = info->dlpi_addr;
    module.main = modules.empty(); // the loader reports the main program first
    module.path = info->dlpi_name != nullptr ? info->dlpi_name : "";
    module.begin = ~std::uintptr_t{0};
    for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_LOAD) {
            module.begin = std::min(module.begin, begin);
            module.end = std::max<std::uintptr_t>(module.end, begin + segment.p_memsz);
        } else if (segment.p_type == PT_NOTE) {
            const auto id = build_id_in({reinterpret_cast<const std::byte*>(begin), segment.p_filesz});
            if (id.empty()) continue;
            module.build_id_size = id.size();
            std::memcpy(module.build_id.data(), id.data(), id.size());
        }
    }
    modules.push_back(std::move(module));
    return 0;
}

std::vector<module_info> loaded_modules() {
    std::vector<module_info> modules;
    ::dl_iterate_phdr(&add_module, &modules);
    return modules;
}

const module_info& main_module() {
    static const module_info module = [] {
        std::vector<module_info> modules = loaded_modules();
        return modules.empty() ? module_info{} : std::move(modules.front());
    }();
    return module;
}

const module_info* module_of(const std::vector<module_info>& modules, std::uintptr_t address) {
    const auto found =
        std::ranges::find_if(modules, [&](const module_info& m) { return m.contains(address); });
    return found == modules.end() ? nullptr : &*found;
}

[[noreturn]] void nowhere() {
    throw std::logic_error{
        "plait: this function belongs to no loaded module (generated code?), so a worker process "
        "could not find it; pass a function that is part of the program or of a shared library"};
}

std::uintptr_t base_of_library(const module_info& wanted) {
    const auto matches = [&](const module_info& m) {
        return !m.main && (wanted.build_id_size != 0 ? m.same_build(wanted) : m.path == wanted.path);
    };
    std::vector<module_info> modules = loaded_modules();
    auto found = std::ranges::find_if(modules, matches);
    if (found != modules.end()) return found->base;
    if (::dlopen(wanted.path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
        const char* why = ::dlerror();
        throw std::runtime_error{
            "process_pool: cannot load the library of the task's function in the worker: " +
            (why != nullptr ? std::string{why} : wanted.path)};
    }
    modules = loaded_modules();
    found = std::ranges::find_if(modules, matches);
    if (found == modules.end())
        throw std::runtime_error{
            "process_pool: " + wanted.path +
            " changed on disk since the program loaded it (another build-id), so its functions "
            "cannot be run in a worker; restart the program"};
    return found->base;
}

} // namespace

code_place place_of(const void* address) {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    const module_info& program = main_module();
    if (program.contains(value)) return value - program.base;
    return elsewhere;
}

void* address_of(code_place p) noexcept { return reinterpret_cast<void*>(main_module().base + p); }

void write_place(byte_writer& out, const void* address) {
    const code_place p = place_of(address);
    out.put(p);
    if (p != elsewhere) return;
    const std::vector<module_info> modules = loaded_modules();
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    const module_info* module = module_of(modules, value);
    if (module == nullptr) nowhere();
    out.put(std::uint64_t{value - module->base});
    out.put(std::uint64_t{module->build_id_size});
    out.write(module->build_id.data(), module->build_id_size);
    out.put(std::uint64_t{module->path.size()});
    out.write(module->path.data(), module->path.size());
}

void* read_place(byte_reader& in) {
    const auto p = in.take<code_place>();
    if (p != elsewhere) return address_of(p);
    const auto offset = in.take<std::uint64_t>();
    module_info wanted;
    const auto id_size = in.take<std::uint64_t>();
    if (id_size > longest_build_id) throw std::runtime_error{"plait: a damaged function name"};
    wanted.build_id_size = static_cast<std::size_t>(id_size);
    in.read(wanted.build_id.data(), wanted.build_id_size);
    const auto path_size = in.take<std::uint64_t>();
    if (path_size > longest_path) throw std::runtime_error{"plait: a damaged function name"};
    wanted.path.resize(static_cast<std::size_t>(path_size));
    in.read(wanted.path.data(), wanted.path.size());

    // One library and its base, remembered: a worker runs the same few functions again and again.
    static std::mutex lock;
    static module_info last;
    const std::lock_guard guard{lock};
    if (last.path != wanted.path || !last.same_build(wanted)) {
        wanted.base = base_of_library(wanted);
        last = std::move(wanted);
    }
    return reinterpret_cast<void*>(last.base + offset);
}

} // namespace plait::detail
