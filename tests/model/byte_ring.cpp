// SPDX-License-Identifier: Apache-2.0
// small: process/byte_ring.hpp ring_capacity = std::size_t{8} << 20 -> ring_capacity = 3
// small: process/byte_ring.hpp ring_step = std::size_t{1} << 20 -> ring_step = 2
//
// The ring through which large arguments and results go between a program and its worker: what comes out is what went
// in, neither side touches bytes that are the other's, and nobody sleeps while the other waits for it.
#include "support.hpp"

#include "process/byte_ring.hpp"
#include "process/slot_state.hpp"
#include "sys/futex.hpp"

#include <array>
#include <cstddef>

using plait::detail::order;
using plait::testing::check;
using plait::testing::label;
using plait::testing::thread;

namespace {

using park_word = plait::detail::park_word;

/// A byte whose reader and writer are known.
class cell {
  public:
    cell() noexcept = default;
    explicit cell(int value) noexcept : value_{value} {}
    cell(const cell& other) noexcept : value_{other.value()} {}
    cell& operator=(const cell& other) noexcept {
        const int taken = other.value();
        memory_.write({});
        value_ = taken;
        return *this;
    }
    ~cell() = default;

    int value() const noexcept {
        memory_.read({});
        return value_;
    }

  private:
    int value_ = -1;
    plait::testing::model::plain_memory memory_;
};

struct ring {
    plait::detail::ring_positions positions;
    std::array<cell, plait::detail::ring_capacity> bytes;
    park_word producer;
    park_word consumer;

    ring() {
        label(positions.produced, "produced");
        label(positions.consumed, "consumed");
        label(producer, "producer's flag");
        label(consumer, "consumer's flag");
    }
};

/// As worker_port and the supervisor sleep: announce, look again, sleep.
template <class Ready>
void wait(park_word& own, Ready ready) {
    for (;;) {
        if (ready()) return;
        own.announce();
        if (ready()) {
            own.retract();
            return;
        }
        plait::detail::futex_wait(own.address(), park_word::parked);
    }
}

void wake(park_word& other) {
    if (other.take()) plait::detail::futex_wake(other.address());
}

/// slot_writer::send.
void send(ring& r, int first, std::size_t count) {
    std::array<cell, 8> mine;
    for (std::size_t i = 0; i < count; ++i) mine[i] = cell{first + static_cast<int>(i)};
    for (std::size_t sent = 0; sent != count;) {
        const std::size_t part =
            plait::detail::ring_put(r.positions, r.bytes.data(), mine.data() + sent, count - sent);
        sent += part;
        if (part != 0)
            wake(r.consumer);
        else
            wait(r.producer, [&r] { return plait::detail::ring_room(r.positions) != 0; });
    }
}

/// slot_reader::underflow.
void receive(ring& r, int first, std::size_t count) {
    std::array<cell, 8> mine;
    for (std::size_t got = 0; got != count;) {
        wait(r.consumer, [&r] { return plait::detail::ring_available(r.positions) != 0; });
        got += plait::detail::ring_get(r.positions, r.bytes.data(), mine.data() + got, count - got);
        wake(r.producer);
    }
    for (std::size_t i = 0; i < count; ++i)
        check(mine[i].value() == first + static_cast<int>(i), "not the byte that was put there");
}

TEST(Model, ByteRing_OneSleepsUntilTheOtherHasCome) {
    explored("byte ring: empty, then a byte", [] {
        ring r;
        thread producer{"producer", [&r] { send(r, 1, 1); }};
        receive(r, 1, 1);
        producer.join();
        check(plait::detail::ring_available(r.positions) == 0);
    });
    explored("byte ring: full, then room", [] {
        ring r;
        send(r, 1, 3); // alone
        thread producer{"producer", [&r] { send(r, 10, 1); }};
        receive(r, 1, 3);
        producer.join();
        receive(r, 10, 1);
    });
}

TEST(Model, ByteRing_AroundTheEnd) {
    explored("byte ring: around the end, part by part", [] {
        ring r;
        send(r, 1, 2); // alone: there is room
        receive(r, 1, 2);
        thread producer{"producer", [&r] {
                            send(r, 10, 2); // the last place and the first
                            send(r, 20, 2);
                        }};
        receive(r, 10, 2);
        receive(r, 20, 2);
        producer.join();
    });
}

TEST(Model, ByteRing_APositionThatCannotBeGivesNothing) {
    explored("byte ring: a damaged position", [] {
        ring r;
        thread vandal{"vandal", [&r] { r.positions.produced.store(1000, order::seq_cst); }};
        cell to;
        const std::size_t got = plait::detail::ring_get(r.positions, r.bytes.data(), &to, 1);
        check(got == 0, "bytes that nobody put there");
        vandal.join();
        check(!plait::detail::ring_makes_sense(r.positions));
    });
}

} // namespace
