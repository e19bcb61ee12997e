// SPDX-License-Identifier: Apache-2.0
// component: process
// Any bytes as what a worker sends: a value of the type that the first byte names, or an exception. They are
// read, or refused by an exception; and what was read is written and read again as the same.
#include <plait/serialize.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <cereal/types/map.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include <plait/detail/exception_codec.hpp>

namespace {

using plait::detail::memory_reader;

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void read_value(memory_reader& in) {
    const T value = plait::detail::decode<T>(in);
    plait::detail::byte_buffer bytes;
    plait::detail::buffer_writer out{bytes};
    plait::detail::encode(out, value);
    out.finish();
    memory_reader again{bytes.data(), bytes.size()};
    const T twin = plait::detail::decode<T>(again);
    require(again.remaining() == 0);
    if constexpr (std::is_same_v<T, std::vector<double>>)
        require(twin.size() == value.size()); // a NaN equals nothing
    else
        require(twin == value);
}

void read_error(memory_reader& in) {
    const std::exception_ptr error = plait::detail::read_exception(in, {.pid = 1, .function = "fuzz"});
    require(error != nullptr);
    plait::detail::byte_buffer bytes;
    plait::detail::buffer_writer out{bytes};
    plait::detail::write_exception(out, error);
    out.finish();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    memory_reader in{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
    try {
        switch (data[0] % 8) {
        case 0:
            read_value<std::string>(in);
            break;
        case 1:
            read_value<std::vector<double>>(in);
            break;
        case 2:
            read_value<std::vector<std::string>>(in);
            break;
        case 3:
            read_value<std::map<std::string, std::vector<std::optional<int>>>>(in);
            break;
        case 4:
            read_value<std::tuple<int, std::string, std::vector<std::vector<char>>>>(in);
            break;
        case 5:
            read_value<std::variant<int, std::string, std::vector<int>>>(in);
            break;
        default:
            read_error(in);
        }
    } catch (const std::exception&) {
        // refused
    }
    return 0;
}
