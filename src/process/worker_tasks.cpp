// SPDX-License-Identifier: Apache-2.0
#include "process/worker_tasks.hpp"

#include "process/exception_types.hpp"
#include "process/worker_settings.hpp"
#include "sys/futex.hpp"
#include "sys/heap.hpp"

#include <plait/detail/exception_codec.hpp>
#include <plait/detail/identity.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace plait::detail {

bool worker_tasks::claim(std::uint64_t index, std::int64_t now) noexcept {
    lane_slot& slot = lane_.slot(index);
    // Large arguments need the bell. Where the task before has closed it, that is not to cost this one.
    if ((slot.flags & arguments_streamed) != 0 && !port_.can_ring()) ::_exit(exit_without_bell);
    if ((slot.flags & arguments_hold_handles) != 0 && !(port_.can_ring() && post_.is_ours()))
        ::_exit(exit_without_bell);
    // The claim comes before anything is read: from here on our death costs this task.
    if (!slot.state.claim(lane_.generation(index))) return false;
    // release: pairs with parent_lane::started(). A parent that still sees 0 asks again later.
    slot.started.store(now, order::release);
    // A parent that misses it keeps its copy until it looks for another reason; so the claim's order is
    // enough.
    if (slot.size >= large_arguments || (slot.flags & arguments_hold_handles) != 0) port_.ring();
    return true;
}

void worker_tasks::finish(lane_slot& slot, std::uint32_t generation, std::uint32_t elapsed) noexcept {
    slot.elapsed = elapsed;
    slot.state.finish(generation);
}

void worker_tasks::finish(lane_slot& slot, std::uint32_t generation) noexcept {
    const std::int64_t elapsed = monotonic_now() - slot.started.load(order::relaxed); // ours
    finish(slot, generation, static_cast<std::uint32_t>(std::min<std::int64_t>(elapsed, ~0U)));
}

void worker_tasks::respect_hold() noexcept {
    atomic<std::uint32_t>& hold = lane_.header().hold;
    // seq_cst: pairs with the parent's look at our slot after it has set the hold (see lane_header::hold).
    while (hold.load(order::seq_cst) != 0) {
        port_.ring(); // our result is there, and the parent may wait for it before it decides
        futex_wait(hold.address(), 1, no_deadline, futex_scope::shared);
    }
}

void worker_tasks::perform(lane_slot& slot) noexcept {
    slot_reader in{port_, slot};
    slot_writer out{port_, slot};
    descriptor_list received;
    descriptor_list given;
    receive_handles(slot, in, received);
    out.descriptors = &given;
    result_kind kind = write_result(out, [&] { call(slot, in, out, name_); });
    kind = give_handles(slot, out, given, kind);
    in.drain();
    // A worker whose initialiser has closed them must not become ready: its successors would do the same, for
    // ever.
    if ((slot.flags & setup_task) != 0 && (!port_.can_ring() || ::fcntl(lifeline_, F_GETFD) < 0))
        ::_exit(exit_without_bell);
    slot.size = out.finish();
    slot.kind = kind;
    this_worker().task = 0;
}

result_kind worker_tasks::give_handles(lane_slot& slot, slot_writer& out, const descriptor_list& given,
                                       result_kind kind) noexcept {
    if (given.all.empty()) return kind;
    port_.ring(); // what is done may have to be taken before there is room
    try {
        post_.send(slot.task, given);
        slot.flags |= result_holds_handles;
        return kind;
    } catch (...) {
        write_error(out, std::current_exception());
        return result_kind::exception;
    }
}

void worker_tasks::receive_handles(const lane_slot& slot, slot_reader& in,
                                   descriptor_list& received) noexcept {
    in.descriptors = &received;
    if ((slot.flags & arguments_hold_handles) != 0 && !post_.receive(slot.task, received))
        ::_exit(exit_without_bell);
}

void worker_tasks::call(const lane_slot& slot, byte_reader& in, byte_writer& out, std::string& name) {
    worker_identity& identity = this_worker();
    identity.task = slot.task;
    identity.attempt = slot.attempt;
    identity.name = nullptr;
    identity.deadline = 0;
    if ((slot.flags & described_task) != 0) read_description(slot, in, name);
    if ((slot.flags & setup_task) != 0) {
        const worker_settings settings = read_settings(in);
        apply_before_initializer(settings);
        if (settings.memory_limit == 0 && !identity.drives_loop) keep_large_blocks();
        read_registrations(in);
        if (in.take<std::uint8_t>() != 0) run_code(slot, in, out);
        apply_after_initializer(settings);
        return;
    }
    run_code(slot, in, out);
}

void worker_tasks::run_code(const lane_slot& slot, byte_reader& in, byte_writer& out) {
    void* code = slot.function == elsewhere ? read_place(in) : address_of(slot.function);
    reinterpret_cast<process_entry>(code)(in, out);
}

void worker_tasks::read_description(const lane_slot& slot, byte_reader& in, std::string& name) {
    worker_identity& identity = this_worker();
    const auto timeout = in.take<std::int64_t>();
    const std::int64_t started = slot.started.load(order::relaxed); // ours
    if (timeout != 0 && timeout < no_deadline - started) identity.deadline = started + timeout;
    name = read_text(in);
    if (!name.empty()) identity.name = name.c_str();
}

void worker_tasks::write_error(slot_writer& out, const std::exception_ptr& error) noexcept {
    try {
        out.restart();
        write_exception(out, error);
    } catch (...) {
        // Only memory can be short here; an empty result says so to the parent.
        out.restart();
    }
}

} // namespace plait::detail
