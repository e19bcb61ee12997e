// SPDX-License-Identifier: Apache-2.0
#include "sys/symbols.hpp"

#include "sys/build_id.hpp"
#include "sys/unique_fd.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>

namespace plait::detail {
namespace {

constexpr std::uint64_t most_sections = 1U << 16;
constexpr std::uint64_t most_symbols = std::uint64_t{1} << 24;
constexpr std::uint64_t longest_notes = std::uint64_t{64} << 10;
constexpr std::size_t longest_symbol = 4096;
constexpr std::size_t symbols_at_once = 2048;

/// A file of which every part is asked for by position and length, and may turn out not to be there.
class module_file {
  public:
    explicit module_file(const std::string& path) {
        struct stat about{};
        // Looked at before it is opened: where a path is damaged it may name a device, which can mind that.
        if (::stat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return;
        file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        if (file_ && ::fstat(file_.get(), &about) == 0 && S_ISREG(about.st_mode))
            size_ = static_cast<std::uint64_t>(about.st_size);
    }

    bool read(std::uint64_t at, void* to, std::size_t count) const {
        if (at > size_ || count > size_ - at) return false;
        auto* into = static_cast<char*>(to);
        while (count != 0) {
            const ssize_t got = ::pread(file_.get(), into, count, static_cast<off_t>(at));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return false;
            into += got;
            at += static_cast<std::uint64_t>(got);
            count -= static_cast<std::size_t>(got);
        }
        return true;
    }

    template <class T>
    std::vector<T> read_table(std::uint64_t at, std::uint64_t count) const {
        if (count > size_ / sizeof(T)) return {};
        std::vector<T> table(static_cast<std::size_t>(count));
        if (!read(at, table.data(), table.size() * sizeof(T))) table.clear();
        return table;
    }

    /// A text that ends with a zero, of which at most so much is read.
    std::string read_name(std::uint64_t at, std::uint64_t end) const {
        std::string name;
        char part[256];
        while (at < end && at < size_ && name.size() < longest_symbol) {
            const auto count =
                static_cast<std::size_t>(std::min({std::uint64_t{sizeof(part)}, end - at, size_ - at}));
            if (!read(at, part, count)) return {};
            const char* const stop = std::find(part, part + count, char{});
            name.append(part, static_cast<std::size_t>(stop - part));
            if (stop != part + count) return name;
            at += count;
        }
        return {};
    }

  private:
    unique_fd file_;
    std::uint64_t size_ = 0;
};

struct candidate {
    std::uint64_t place = 0;
    std::uint64_t begin = 0;
    std::uint64_t name = 0; // in the table of names
    bool found = false;
    bool covered = false; // the symbol's size reaches so far: no guess

    void offer(const ElfW(Sym) & symbol) noexcept {
        if (symbol.st_value > place || symbol.st_value == 0) return;
        const bool covers = place - symbol.st_value < symbol.st_size;
        // Without a size (hand-written assembly) the nearest one before the place has to do.
        if (!covers && symbol.st_size != 0) return;
        if (found && (covered && !covers)) return;
        if (found && covered == covers && symbol.st_value < begin) return;
        begin = symbol.st_value;
        name = symbol.st_name;
        found = true;
        covered = covers;
    }
};

class elf_reader {
  public:
    explicit elf_reader(const std::string& path) : file_{path} {
        ElfW(Ehdr) header;
        if (!file_.read(0, &header, sizeof(header)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            header.e_ident[EI_CLASS] != (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) ||
            header.e_shentsize != sizeof(ElfW(Shdr)) || header.e_phentsize != sizeof(ElfW(Phdr)))
            return;
        sections_ = file_.read_table<ElfW(Shdr)>(header.e_shoff,
                                                 std::min<std::uint64_t>(header.e_shnum, most_sections));
        segments_ = file_.read_table<ElfW(Phdr)>(header.e_phoff, header.e_phnum);
    }

    bool is_build(std::span<const std::byte> wanted) const {
        if (wanted.empty()) return true;
        for (const ElfW(Phdr) & segment : segments_) {
            if (segment.p_type != PT_NOTE || segment.p_filesz > longest_notes) continue;
            const auto notes = file_.read_table<std::byte>(segment.p_offset, segment.p_filesz);
            const std::span<const std::byte> id = build_id_in(notes);
            if (!id.empty()) return std::ranges::equal(id, wanted);
        }
        return false;
    }

    void find(std::vector<candidate>& wanted, std::vector<symbol_place>& into) const {
        const ElfW(Shdr)* table = section(SHT_SYMTAB);
        if (table == nullptr) table = section(SHT_DYNSYM);
        if (table == nullptr || table->sh_entsize != sizeof(ElfW(Sym)) || table->sh_link >= sections_.size())
            return;
        const ElfW(Shdr)& names = sections_[table->sh_link];
        const std::uint64_t count = std::min(std::uint64_t{table->sh_size} / sizeof(ElfW(Sym)), most_symbols);
        for (std::uint64_t first = 0; first < count; first += symbols_at_once) {
            const auto symbols =
                file_.read_table<ElfW(Sym)>(table->sh_offset + first * sizeof(ElfW(Sym)),
                                            std::min<std::uint64_t>(symbols_at_once, count - first));
            if (symbols.empty()) break;
            for (const ElfW(Sym) & symbol : symbols) {
                const auto type = symbol.st_info & 0xf;
                if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
                    symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS)
                    continue;
                for (candidate& c : wanted) c.offer(symbol);
            }
        }
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            const candidate& c = wanted[i];
            if (!c.found || c.name >= names.sh_size) continue;
            into[i].function =
                demangled_name(file_.read_name(names.sh_offset + c.name, names.sh_offset + names.sh_size));
            into[i].offset = c.place - c.begin;
        }
    }

  private:
    const ElfW(Shdr) * section(std::uint32_t type) const {
        const auto found = std::ranges::find(sections_, type, &ElfW(Shdr)::sh_type);
        return found == sections_.end() ? nullptr : &*found;
    }

    module_file file_;
    std::vector<ElfW(Shdr)> sections_;
    std::vector<ElfW(Phdr)> segments_;
};

} // namespace

std::string demangled_name(const std::string& name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    std::string result = status == 0 && text != nullptr ? text : name;
    std::free(text);
    return result;
}

std::vector<symbol_place> find_symbols(const std::string& file, std::span<const std::byte> build_id,
                                       std::span<const std::uint64_t> places) {
    std::vector<symbol_place> found(places.size());
    const elf_reader module{file};
    if (!module.is_build(build_id)) return found;
    std::vector<candidate> wanted(places.size());
    for (std::size_t i = 0; i < places.size(); ++i) wanted[i].place = places[i];
    module.find(wanted, found);
    return found;
}

} // namespace plait::detail
