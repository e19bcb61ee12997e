// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <plait/detail/bytes.hpp>
#include <plait/detail/sendable.hpp>

namespace plait::detail {

/// cereal's binary format over our writer: no stream and no allocation per value.
class output_archive final : public cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision> {
  public:
    explicit output_archive(byte_writer& out)
        : cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision>{this}, out_{out} {}
    void save_binary(const void* data, std::size_t size) { out_.write(data, size); }
    byte_writer& writer() noexcept { return out_; }

  private:
    byte_writer& out_;
};

class input_archive final : public cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision> {
  public:
    explicit input_archive(byte_reader& in)
        : cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision>{this}, in_{in} {}
    void load_binary(void* data, std::size_t size) { in_.read(data, size); }
    byte_reader& reader() noexcept { return in_; }

  private:
    byte_reader& in_;
};

/// Bytes that mean the same in another process, and that neither cereal nor the user wants to see.
template <class T>
concept bitwise =
    std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_void_v<T> && !is_handle<T> &&
    send_problem_of<T>() == send_problem::none &&
    (trivially_sendable<T> || known_template<T>::known || !known_to_cereal<T> || std::is_scalar_v<T>);

/// One of cereal's own wrappers? They are asked about as well, where what they wrap has a base of ours.
template <class T>
consteval bool is_of_cereal() {
    return contains(__PRETTY_FUNCTION__, "T = cereal::");
}

/// Classes that nobody has told cereal about: their bytes, or member by member.
template <class T>
concept ours = std::is_class_v<T> && !is_of_cereal<T>() && !known_template<T>::known && !known_to_cereal<T> &&
               send_problem_of<T>() == send_problem::none;

// What the archives know. Names and shape are cereal's.
template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& value) {
    archive.save_binary(std::addressof(value), sizeof(T));
}
template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        unsigned char byte = 0; // a bool that is neither true nor false would be undefined
        archive.load_binary(&byte, 1);
        value = byte != 0;
    } else {
        archive.load_binary(std::addressof(value), sizeof(T));
    }
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::BinaryData<T>& data) {
    archive.save_binary(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::BinaryData<T>& data) {
    archive.load_binary(data.data, static_cast<std::size_t>(data.size));
}
template <class Archive, class T>
    requires(std::is_same_v<Archive, output_archive> || std::is_same_v<Archive, input_archive>)
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::NameValuePair<T>& pair) {
    archive(pair.value);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::SizeTag<T>& tag) {
    archive(tag.size);
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::SizeTag<T>& tag) {
    archive(tag.size);
    // Every element takes a byte at least: a damaged length ends here, not in an allocation.
    archive.reader().expect(static_cast<std::uint64_t>(tag.size), 1);
}
template <ours T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& value) {
    if constexpr (bitwise<T>)
        archive.save_binary(std::addressof(value), sizeof(T));
    else
        with_members<T>(value, [&](const auto&... member) { archive(member...); });
}
template <ours T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& value) {
    if constexpr (bitwise<T>)
        archive.load_binary(std::addressof(value), sizeof(T));
    else
        with_members<T>(value, [&](auto&... member) { archive(member...); });
}
inline void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const std::filesystem::path& path) {
    archive(path.native());
}
inline void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, std::filesystem::path& path) {
    std::filesystem::path::string_type text;
    archive(text);
    path = std::move(text);
}

/// What a handle has: `void save_handle(byte_writer&) const` and `static T load_handle(byte_reader&)`,
/// private.
struct handle_access {
    template <class T>
    static void save(byte_writer& out, const T& handle) {
        handle.save_handle(out);
    }
    template <class T>
    static T load(byte_reader& in) {
        return T::load_handle(in);
    }
};
template <class T>
    requires is_handle<T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& handle) {
    handle_access::save(archive.writer(), handle);
}
template <class T>
    requires is_handle<T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& handle) {
    handle = handle_access::load<T>(archive.reader());
}
/// What is moved into a task is the task's, as with executors of this process: nothing of it stays here, and
/// no handle in it.
template <class Argument, class T>
void give_up([[maybe_unused]] T& argument) noexcept {
    if constexpr (std::is_lvalue_reference_v<Argument>)
        return;
    else if constexpr (is_handle<T>)
        argument = T{};
    else if constexpr (!std::is_trivially_copyable_v<T> && std::is_nothrow_move_constructible_v<T>)
        [[maybe_unused]]
        const T gone{std::move(argument)};
}

template <class T>
inline constexpr bool is_bulk_vector = false;
template <class T>
inline constexpr bool is_bulk_vector<std::vector<T>> = bitwise<T> && !std::is_same_v<T, bool>;

template <class T>
void encode(byte_writer& out, const T& value) {
    if constexpr (bitwise<T>) {
        out.put(value);
    } else if constexpr (is_bulk_vector<T>) {
        out.put(static_cast<std::uint64_t>(value.size()));
        out.write(value.data(), value.size() * sizeof(typename T::value_type));
    } else {
        output_archive archive{out};
        archive(value);
    }
}

/// Elements of a vector, from bytes that come in pieces of any size.
template <class T>
struct bulk_reader {
    using element = typename T::value_type;

    explicit bulk_reader(std::uint64_t size) {
        value.reserve(static_cast<std::size_t>(size));
        prepare_large(value.data(), static_cast<std::size_t>(size) * sizeof(element));
    }
    // Never by resize(), which would touch all of it once more, to zero it.
    void append(const std::byte* bytes, std::size_t count) {
        if (begun != 0) { // the rest of the element that the piece before has begun
            const std::size_t rest = std::min(count, sizeof(element) - begun);
            std::memcpy(raw + begun, bytes, rest);
            begun += rest;
            bytes += rest;
            count -= rest;
            if (begun != sizeof(element)) return;
            take(raw, 1);
            begun = 0;
        }
        const std::size_t whole = count / sizeof(element);
        if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(element) == 0) {
            take(bytes, whole);
        } else {
            for (std::size_t done = 0; done < whole;) { // by way of the cache
                const std::size_t some = std::min(whole - done, at_once);
                std::memcpy(raw, bytes + done * sizeof(element), some * sizeof(element));
                take(raw, some);
                done += some;
            }
        }
        begun = count - whole * sizeof(element);
        if (begun != 0) std::memcpy(raw, bytes + whole * sizeof(element), begun);
    }

    /// What it was given.
    void write(byte_buffer& into) const {
        into.append(value.data(), value.size() * sizeof(element));
        into.append(raw, begun);
    }

    T value;

  private:
    void take(const std::byte* bytes, std::size_t count) {
        const element* const first = std::launder(reinterpret_cast<const element*>(bytes));
        value.insert(value.end(), first, first + count);
    }
    static constexpr std::size_t at_once = std::max<std::size_t>(1, 4096 / sizeof(element));
    alignas(element) std::byte raw[at_once * sizeof(element)]; // NOLINT: an array
    std::size_t begun = 0;                                     // bytes of an element, in `raw`
};

template <class T>
T decode(byte_reader& in) {
    if constexpr (std::is_same_v<T, bool>) {
        return in.take<unsigned char>() != 0;
    } else if constexpr (bitwise<T>) {
        alignas(T) std::byte raw[sizeof(T)];
        in.read(raw, sizeof(T));
        return *std::launder(reinterpret_cast<T*>(raw));
    } else if constexpr (is_bulk_vector<T>) {
        using element = typename T::value_type;
        const auto size = in.take<std::uint64_t>();
        in.expect(size, sizeof(element));
        bulk_reader<T> bulk{size};
        for (std::uint64_t left = size * sizeof(element); left != 0;) {
            const auto [bytes, count] =
                in.look(static_cast<std::size_t>(std::min<std::uint64_t>(left, ~std::size_t{0})));
            bulk.append(bytes, count);
            in.skip(count);
            left -= count;
        }
        return std::move(bulk.value);
    } else {
        T value{};
        input_archive archive{in};
        archive(value);
        return value;
    }
}

} // namespace plait::detail

CEREAL_REGISTER_ARCHIVE(plait::detail::output_archive)
CEREAL_REGISTER_ARCHIVE(plait::detail::input_archive)
CEREAL_SETUP_ARCHIVE_TRAITS(plait::detail::input_archive, plait::detail::output_archive)
