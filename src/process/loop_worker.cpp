// SPDX-License-Identifier: Apache-2.0
#include "process/loop_worker.hpp"

#include "process/crash_handler.hpp"
#include "sys/futex.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace plait::detail {

void loop_worker::run() noexcept {
    lane_header& header = lane_.header();
    for (;;) {
        bool stop = false;
        // seq_cst, here and below: the second look, after we have announced that we park. Either it sees what there is to
        // do, or who has brought it sees us parked (basic_park_word). What it finds is acquired with it.
        port_.wait([&] {
            stop = header.stop.load(order::seq_cst) != 0; // before the queue: what was queued first is run
            return is_queued() || is_asked_to_stop() || done_.load(order::seq_cst) != nullptr ||
                   (stop && running_.empty());
        });
        finish_the_done();
        stop_the_asked();
        if (is_queued()) {
            const std::uint64_t index = lane_.queued(head_);
            // Behind the look at the queue: who asks for a stop did so before the slot was filled again, and
            // that is not for this task.
            stop_the_asked();
            begin(index);
            // seq_cst: before the bell, which looks whether the parent sleeps; pairs with its look for room.
            header.head.store(++head_, order::seq_cst);
            port_.ring();
        } else if (stop && running_.empty()) {
            return;
        }
    }
}

bool loop_worker::is_queued() const noexcept { return lane_.header().pushed.load(order::seq_cst) != head_; }

bool loop_worker::is_asked_to_stop() const noexcept {
    for (const atomic<std::uint64_t>& word : lane_.header().asked)
        if (word.load(order::seq_cst) != 0) return true;
    return false;
}

void loop_worker::begin(std::uint64_t index) noexcept {
    if (!claim(index, monotonic_now())) return; // taken back
    // Should it end here. release would do: pairs with the parent's look, after it has found bytes in the ring.
    lane_.header().sending.store(index + 1, order::seq_cst);
    lane_slot& slot = lane_.slot(index);
    if ((slot.flags & setup_task) != 0) {
        perform(slot);
        // A stack for crashes on the loop's thread, whose own may be what overflows.
        loop_.submit([] { use_crash_stack(); }).wait();
        finish(slot, lane_.generation(index));
        return;
    }
    std::unique_ptr<running> r;
    slot_reader in{port_, slot};
    slot_writer out{port_, slot};
    descriptor_list received;
    descriptor_list given; // by a chunk of a map
    receive_handles(slot, in, received);
    out.descriptors = &given;
    worker_identity& identity = this_worker();
    identity.takes_pending = true;
    const result_kind kind = write_result(out, [&] {
        r = std::make_unique<running>();
        r->index = index;
        call(slot, in, out, r->name);
    });
    identity.takes_pending = false;
    in.drain();
    std::unique_ptr<pending_result> goes_on{std::exchange(identity.pending, nullptr)};
    if (kind != result_kind::value) goes_on.reset();
    if (!goes_on) { // it failed before it began, or it is a chunk of a map
        const result_kind sent = give_handles(slot, out, given, kind);
        slot.size = out.finish();
        slot.kind = sent;
        finish(slot, lane_.generation(index));
        return respect_hold();
    }
    r->result = std::move(goes_on);
    running_.push_back(std::move(r));
    running_.back()->result->tell(&note_done, this);
}

// On the loop's thread, or on this one where the result was there at once.
void loop_worker::note_done(void* self, pending_result& result) noexcept {
    auto& worker = *static_cast<loop_worker*>(self);
    park_word& parked = worker.lane_.header().worker; // the result may be gone once it is pushed
    // relaxed: nothing is read through it. seq_cst: before the look whether the worker is parked, and after all of the
    // result, which the exchange in finish_the_done() acquires.
    pending_result* first = worker.done_.load(order::relaxed);
    do {
        result.next_done = first;
    } while (!worker.done_.compare_exchange(first, &result, order::seq_cst, order::relaxed));
    if (parked.take()) futex_wake(parked.address(), 1, futex_scope::shared);
}

void loop_worker::finish_the_done() noexcept {
    pending_result* last = done_.exchange(nullptr, order::seq_cst);
    if (last == nullptr) return;
    pending_result* first = nullptr; // in the order in which they came
    while (last != nullptr) {
        pending_result* const next = std::exchange(last->next_done, first);
        first = std::exchange(last, next);
    }
    while (first != nullptr) {
        pending_result* const next = first->next_done;
        const auto found = std::ranges::find(
            running_, first, [](const std::unique_ptr<running>& r) { return r->result.get(); });
        finish_one(**found);
        std::swap(*found, running_.back());
        running_.pop_back();
        first = next;
    }
    port_.ring();
}

void loop_worker::finish_one(running& r) noexcept {
    lane_slot& slot = lane_.slot(r.index);
    // Whose bytes come through the ring, if they do; as in begin().
    lane_.header().sending.store(r.index + 1, order::seq_cst);
    slot_writer out{port_, slot};
    descriptor_list given;
    out.descriptors = &given;
    result_kind kind = write_result(out, [&] { r.result->write(out); });
    r.result.reset(); // what it held is gone before anybody sees that it has ended
    kind = give_handles(slot, out, given, kind);
    slot.size = out.finish();
    slot.kind = kind;
    finish(slot, lane_.generation(r.index));
    respect_hold();
}

void loop_worker::stop_the_asked() noexcept {
    std::uint64_t base = 0;
    // Looked at before the exchange: nearly all of them are 0.
    for (atomic<std::uint64_t>& word : lane_.header().asked) {
        std::uint64_t bits = word.load(order::seq_cst) != 0 ? word.exchange(0, order::seq_cst) : 0;
        for (; bits != 0; bits &= bits - 1) {
            const std::uint64_t number = base + static_cast<std::uint64_t>(__builtin_ctzll(bits));
            for (const std::unique_ptr<running>& r : running_)
                if (lane_.number(r->index) == number) r->result->stop();
        }
        base += 64;
    }
}

} // namespace plait::detail
