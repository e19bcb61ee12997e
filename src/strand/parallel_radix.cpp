// SPDX-License-Identifier: Apache-2.0
#include <plait/parallel.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

namespace plait::detail {
namespace {

/// Bits of an item, as an unsigned number in the order of the items.
template <class U, bool Float>
struct key_of {
    static constexpr unsigned width = 8 * sizeof(U);
    static constexpr U sign = static_cast<U>(U{1} << (width - 1));

    U flip; // the sign, for signed types; everything, for a descending order

    U operator()(U bits) const noexcept {
        // A negative float has its order among its kind reversed, so all of it is flipped.
        if constexpr (Float) bits ^= (U{0} - (bits >> (width - 1))) | sign;
        return static_cast<U>(bits ^ flip);
    }
};

// The keys are of some other type, so they are read and written as bytes.
template <class U>
U load(const std::byte* keys, std::size_t i) noexcept {
    U bits;
    std::memcpy(&bits, keys + i * sizeof(U), sizeof(U));
    return bits;
}
template <class U>
void store(std::byte* keys, std::size_t i, U bits) noexcept {
    std::memcpy(keys + i * sizeof(U), &bits, sizeof(U));
}

/// Least significant digit first. In each pass a part of the keys is counted and then dealt out by one
/// participant, to places that the counts of all parts together give.
template <class U, bool Float, unsigned Digit>
class radix_sorter {
    static constexpr unsigned passes = (8 * sizeof(U) + Digit - 1) / Digit;
    static constexpr std::size_t buckets = std::size_t{1} << Digit;
    using counts = std::array<std::uint64_t, buckets>;

  public:
    radix_sorter(in_process_executor& ex, std::byte* keys, std::size_t n, key_of<U, Float> key)
        : ex_{ex},
          key_{key},
          keys_{keys},
          n_{n},
          parts_{std::clamp<std::size_t>(n / 65536, 1, 4 * ex.concurrency())},
          counts_{new(std::nothrow) counts[parts_]},
          buffer_{new(std::nothrow) std::byte[n * sizeof(U)]} {}

    bool run() {
        if (!counts_ || !buffer_) return false;
        std::byte* from = keys_;
        std::byte* to = buffer_.get();
        try {
            for (unsigned pass = 0; pass < passes; ++pass)
                if (deal(from, to, pass * Digit)) std::swap(from, to);
        } catch (...) { // stopped: `from` is whole
            if (from != keys_) std::memcpy(keys_, from, n_ * sizeof(U));
            throw;
        }
        if (from != keys_)
            each_part([&](std::size_t begin, std::size_t end, std::size_t) {
                std::memcpy(keys_ + begin * sizeof(U), from + begin * sizeof(U), (end - begin) * sizeof(U));
            });
        return true;
    }

  private:
    template <class F>
    void each_part(F&& fn) {
        auto piece = [&](std::size_t, std::size_t from, std::size_t to) {
            for (; from != to; ++from) fn(n_ * from / parts_, n_ * (from + 1) / parts_, from);
        };
        run_tasks(ex_, parts_, "sort", piece_function{piece});
    }

    // False: all have the same digit, so they stay where they are.
    bool deal(const std::byte* from, std::byte* to, unsigned shift) {
        // By value, into each part's own frame: what is written as bytes might else be any of it.
        const auto digit = [key = key_, shift](U bits) { return (key(bits) >> shift) & (buckets - 1); };
        each_part([this, from, digit](std::size_t begin, std::size_t end, std::size_t part) {
            counts& mine = counts_[part];
            const auto digit_of = digit;
            const std::byte* const in = from;
            mine.fill(0);
            for (std::size_t i = begin; i != end; ++i) ++mine[digit_of(load<U>(in, i))];
        });
        std::uint64_t place = 0;
        for (std::size_t b = 0; b < buckets; ++b) {
            const std::uint64_t before = place;
            for (std::size_t part = 0; part < parts_; ++part) {
                std::uint64_t& count = counts_[part][b];
                place += std::exchange(count, place);
            }
            if (place - before == n_) return false;
        }
        each_part([this, from, to, digit](std::size_t begin, std::size_t end, std::size_t part) {
            counts& places = counts_[part];
            const auto digit_of = digit;
            const std::byte* const in = from;
            std::byte* const out = to;
            for (std::size_t i = begin; i != end; ++i) {
                const U bits = load<U>(in, i);
                store(out, static_cast<std::size_t>(places[digit_of(bits)]++), bits);
            }
        });
        return true;
    }

    in_process_executor& ex_;
    const key_of<U, Float> key_;
    std::byte* const keys_;
    const std::size_t n_;
    const std::size_t parts_;
    const std::unique_ptr<counts[]> counts_;
    const std::unique_ptr<std::byte[]> buffer_;
};

template <class U, bool Float>
bool sort_keys(in_process_executor& ex, void* keys, std::size_t n, radix_key key) {
    U flip = key.is_signed && !key.is_float ? key_of<U, Float>::sign : U{0};
    if (key.descending) flip = static_cast<U>(~flip);
    constexpr unsigned digit = sizeof(U) < 4 ? 8 : 11;
    return radix_sorter<U, Float, digit>{ex, static_cast<std::byte*>(keys), n, {flip}}.run();
}

} // namespace

bool radix_sort(in_process_executor& ex, void* keys, std::size_t n, radix_key key) {
    switch (key.bytes) {
    case 1:
        return sort_keys<std::uint8_t, false>(ex, keys, n, key);
    case 2:
        return sort_keys<std::uint16_t, false>(ex, keys, n, key);
    case 4:
        return key.is_float ? sort_keys<std::uint32_t, true>(ex, keys, n, key)
                            : sort_keys<std::uint32_t, false>(ex, keys, n, key);
    default:
        return key.is_float ? sort_keys<std::uint64_t, true>(ex, keys, n, key)
                            : sort_keys<std::uint64_t, false>(ex, keys, n, key);
    }
}

} // namespace plait::detail
