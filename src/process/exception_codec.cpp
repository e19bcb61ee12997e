// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/exception_codec.hpp>

#include "process/exception_types.hpp"
#include "sys/symbols.hpp"

#include <plait/detail/identity.hpp>
#include <plait/errors.hpp>
#include <plait/remote_error.hpp>

#include <cxxabi.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <typeinfo>
#include <vector>

namespace plait::detail {
namespace {

constexpr int most_causes = 16;
constexpr std::uint64_t longest_text = std::uint64_t{1} << 20;
constexpr int deepest_group = 8; // groups in groups; below them only texts

// How one link of a chain of causes travels.
enum class link_kind : std::uint8_t { standard, registered, remote, group };

struct registry {
    std::mutex lock;
    std::vector<const exception_codec*> codecs;
};

registry& registered() {
    static registry r;
    return r;
}

std::vector<const exception_codec*> registered_codecs() {
    const std::lock_guard guard{registered().lock};
    return registered().codecs;
}

// throw_with_nested throws a type of the library's own that derives from the user's: its name is the user's.
std::string without_nesting(std::string name) {
    constexpr std::string_view prefix = "std::_Nested_exception<";
    if (name.starts_with(prefix) && name.ends_with('>')) {
        name.erase(0, prefix.size());
        name.pop_back();
        while (name.ends_with(' ')) name.pop_back();
    }
    return name;
}

struct unknown {
    std::string type;
    std::string message;
};

unknown describe(const std::exception_ptr& error) {
    unknown u;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        u.type = without_nesting(demangled_name(typeid(e).name()));
        u.message = e.what();
    } catch (int value) {
        u = {"int", std::to_string(value)};
    } catch (const char* value) {
        u = {"char const*", value != nullptr ? value : ""};
    } catch (const std::string& value) {
        u = {"std::string", value};
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        u.type = type != nullptr ? without_nesting(demangled_name(type->name()))
                                 : "an exception from another language";
        u.message = "an exception of type " + u.type;
    }
    return u;
}

std::exception_ptr cause_of(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const std::nested_exception& e) {
        return e.nested_ptr();
    } catch (...) {
        return nullptr;
    }
}

void write_chain(byte_writer& out, const std::exception_ptr& error, int depth);
std::exception_ptr read_chain(byte_reader& in, const exception_origin& origin, int depth);

bool write_group(byte_writer& out, const std::exception_ptr& error, int depth) {
    if (depth == deepest_group) return false;
    try {
        std::rethrow_exception(error);
    } catch (const error_group& e) {
        if (typeid(e) != typeid(error_group) && typeid(e) != typeid(std::_Nested_exception<error_group>))
            return false; // a user's own, derived from it
        out.put(link_kind::group);
        out.put(static_cast<std::uint64_t>(e.errors().size()));
        for (const std::exception_ptr& one : e.errors()) write_chain(out, one, depth + 1);
        return true;
    } catch (...) {
        return false;
    }
}

void write_link(byte_writer& out, const std::exception_ptr& error, int depth) {
    for (const exception_codec* codec : registered_codecs()) {
        // Into a buffer: a serialiser that throws half-way must not leave half an exception.
        byte_buffer bytes;
        bool written = false;
        try {
            buffer_writer encoded{bytes};
            encoded.descriptors = out.descriptors;
            written = codec->write(encoded, error);
            encoded.finish();
        } catch (...) {
            written = false; // as remote_error then: what() at least arrives
        }
        if (!written) continue;
        out.put(link_kind::registered);
        write_place(out, codec);
        out.put(static_cast<std::uint64_t>(bytes.size()));
        out.write(bytes.data(), bytes.size());
        return;
    }
    if (write_group(out, error, depth)) return;
    standard_exception known;
    if (known.from(error)) {
        out.put(link_kind::standard);
        known.write(out);
        return;
    }
    const unknown u = describe(error);
    out.put(link_kind::remote);
    write_text(out, u.type);
    write_text(out, u.message);
}

std::exception_ptr remote(std::string type, std::string message, const exception_origin& origin) {
    return std::make_exception_ptr(remote_error{
        {std::move(type), std::move(message), origin.function, origin.pid, origin.worker, origin.task}});
}

// Throws it, with `cause` nested in it if there is one.
template <class Exception>
[[noreturn]] void raise(Exception&& error, const std::exception_ptr& cause) {
    if (!cause) throw std::forward<Exception>(error);
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        std::throw_with_nested(std::forward<Exception>(error));
    }
}

std::exception_ptr read_group(byte_reader& in, const exception_origin& origin,
                              const std::exception_ptr& cause, int depth) {
    auto left = in.take<std::uint64_t>();
    in.expect(left, 1);
    std::vector<std::exception_ptr> errors;
    for (; left > 0 && depth < deepest_group; --left) errors.push_back(read_chain(in, origin, depth + 1));
    if (errors.empty()) return remote("plait::error_group", "a group without errors", origin);
    try {
        raise(error_group{std::move(errors)}, cause);
    } catch (...) {
        return std::current_exception();
    }
}

std::exception_ptr read_link(byte_reader& in, const exception_origin& origin, const std::exception_ptr& cause,
                             int depth) {
    switch (in.take<link_kind>()) {
    case link_kind::standard: {
        standard_exception known;
        known.read(in);
        return known.rebuild(cause);
    }
    case link_kind::registered: {
        const auto* codec = static_cast<const exception_codec*>(read_place(in));
        const auto size = in.take<std::uint64_t>();
        in.expect(size, 1);
        byte_buffer bytes;
        in.read(bytes.extend(static_cast<std::size_t>(size)), static_cast<std::size_t>(size));
        bytes.commit(static_cast<std::size_t>(size));
        const std::vector<const exception_codec*> codecs = registered_codecs();
        // Only what was registered here is called: bytes from a worker are not to be trusted with a jump.
        if (std::ranges::find(codecs, codec) == codecs.end())
            return remote("an exception type that is not registered here", "(its content could not be read)",
                          origin);
        memory_reader content{bytes.data(), bytes.size()};
        content.descriptors = in.descriptors;
        return codec->read(content, cause);
    }
    case link_kind::group:
        return read_group(in, origin, cause, depth);
    case link_kind::remote:
        break;
    }
    std::string type = read_text(in);
    std::string message = read_text(in);
    try {
        raise(remote_error{{std::move(type), std::move(message), origin.function, origin.pid, origin.worker,
                            origin.task}},
              cause);
    } catch (...) {
        return std::current_exception();
    }
}

void write_chain(byte_writer& out, const std::exception_ptr& error, int depth) {
    std::vector<std::exception_ptr> chain;
    for (std::exception_ptr e = error; e && chain.size() < most_causes; e = cause_of(e)) chain.push_back(e);
    out.put(static_cast<std::uint8_t>(chain.size()));
    // The innermost first: each is rebuilt around the one before.
    for (auto link = chain.rbegin(); link != chain.rend(); ++link) write_link(out, *link, depth);
}

std::exception_ptr read_chain(byte_reader& in, const exception_origin& origin, int depth) {
    std::exception_ptr error;
    for (int left = std::min<int>(in.take<std::uint8_t>(), most_causes); left > 0; --left)
        error = read_link(in, origin, error, depth);
    if (!error) return remote("unknown", "an exception without content", origin);
    return error;
}

} // namespace

void write_text(byte_writer& out, std::string_view text) {
    text = text.substr(0, longest_text);
    out.put(static_cast<std::uint64_t>(text.size()));
    out.write(text.data(), text.size());
}

std::string read_text(byte_reader& in) {
    const auto size = in.take<std::uint64_t>();
    in.expect(size, 1);
    std::string text(static_cast<std::size_t>(size), '\0');
    in.read(text.data(), text.size());
    return text;
}

void write_exception(byte_writer& out, const std::exception_ptr& error) { write_chain(out, error, 0); }

std::exception_ptr read_exception(byte_reader& in, const exception_origin& origin) {
    if (in.remaining() == 0)
        return std::make_exception_ptr(std::bad_alloc{}); // the worker could not even write it
    return read_chain(in, origin, 0);
}

void add_exception_codec(const exception_codec& codec) {
    const std::lock_guard guard{registered().lock};
    std::vector<const exception_codec*>& codecs = registered().codecs;
    if (std::ranges::find(codecs, &codec) == codecs.end()) codecs.push_back(&codec);
}

void write_registrations(byte_writer& out) {
    const std::vector<const exception_codec*> codecs = registered_codecs();
    out.put(static_cast<std::uint32_t>(codecs.size()));
    for (const exception_codec* codec : codecs) write_place(out, codec);
}

void read_registrations(byte_reader& in) {
    for (auto left = in.take<std::uint32_t>(); left > 0; --left)
        add_exception_codec(*static_cast<const exception_codec*>(read_place(in)));
}

} // namespace plait::detail
