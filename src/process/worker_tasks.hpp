// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "process/descriptor_passing.hpp"
#include "process/slot_stream.hpp"

#include <plait/cancelled.hpp>

#include <cxxabi.h>

#include <exception>
#include <string>

namespace plait::detail {

/// The worker's descriptors besides 0, 1, 2; the same in each.
struct worker_descriptors {
    int bell;
    int lifeline;
    int post;
};

/// What both kinds of workers do with a slot that they hold.
class worker_tasks {
  public:
    worker_tasks(const worker_tasks&) = delete;
    worker_tasks& operator=(const worker_tasks&) = delete;

  protected:
    worker_tasks(std::byte* memory, worker_descriptors ours) noexcept
        : lane_{memory, lane_view{memory}.header().slots},
          port_{lane_, ours.bell},
          lifeline_{ours.lifeline},
          post_{ours.post} {}
    ~worker_tasks() = default;

    /// Takes the slot, and notes when. False: the parent has taken it back.
    bool claim(std::uint64_t index, std::int64_t now) noexcept;
    /// The task at the slot, from its arguments to its result, for which the thread waits.
    void perform(lane_slot& slot) noexcept;
    /// Its result is there, to the last byte.
    static void finish(lane_slot& slot, std::uint32_t generation, std::uint32_t elapsed) noexcept;
    /// The same, by its start.
    static void finish(lane_slot& slot, std::uint32_t generation) noexcept;

    /// The descriptors of a task's arguments, which the parent sends when it has seen the claim. They live as long as
    /// `received`.
    void receive_handles(const lane_slot& slot, slot_reader& in, descriptor_list& received) noexcept;
    /// The descriptors of its result, if there are any; before `finish`. Returns what the result is then.
    result_kind give_handles(lane_slot& slot, slot_writer& out, const descriptor_list& given,
                             result_kind kind) noexcept;
    /// Reads a task's description (its name into `name`) and calls its code.
    void call(const lane_slot& slot, byte_reader& in, byte_writer& out, std::string& name);
    /// What `body` writes, or the exception that takes its place.
    template <class Body>
    static result_kind write_result(slot_writer& out, Body body) noexcept {
        try {
            body();
            return result_kind::value;
        } catch (const cancelled&) {
            out.restart();
            return result_kind::cancelled;
        } catch (abi::__forced_unwind&) {
            // pthread_exit in a task: this thread is ending and must not be held up. The worker dies of it.
            std::terminate();
        } catch (...) {
            write_error(out, std::current_exception());
            return result_kind::exception;
        }
    }

    /// After a task is done, before the next one is claimed; see lane_header::hold.
    void respect_hold() noexcept;

    lane_view lane_;
    worker_port port_;
    int lifeline_;
    worker_post post_;

  private:
    static void write_error(slot_writer& out, const std::exception_ptr& error) noexcept;
    static void run_code(const lane_slot& slot, byte_reader& in, byte_writer& out);
    static void read_description(const lane_slot& slot, byte_reader& in, std::string& name);

    std::string name_; // of the task that `perform` runs
};

} // namespace plait::detail
