// SPDX-License-Identifier: Apache-2.0
#include <plait/detail/process_job.hpp>

#include "process/exception_types.hpp"

namespace plait::detail {

process_job_base::process_job_base(process_engine& engine, const submit_options& options, int default_retries,
                                   nanoseconds default_timeout) noexcept
    : engine_{engine}, node_{&new_task_node(options.name, options.created)} {
    retain(engine);
    name = options.name != nullptr ? options.name : "";
    retries = options.retries != 0 ? options.retries : default_retries;
    priority = static_cast<int>(options.priority);
    const nanoseconds limit = options.timeout != nanoseconds::max() ? options.timeout : default_timeout;
    if (limit != nanoseconds::max()) timeout = limit.count() > 0 ? limit.count() : 1;
}

void process_task::describe(byte_writer& out) {
    described = *name != '\0' || timeout != 0;
    if (!described) return;
    out.put(timeout);
    write_text(out, name);
}

process_job_base::~process_job_base() { release(engine_); }

std::exception_ptr process_job_base::error_of(const process_result& result) const noexcept {
    if (result.what == process_result::kind::value) return nullptr;
    return error_in(result, origin_of(result));
}

std::exception_ptr error_in(const process_result& result, const exception_origin& origin) noexcept {
    if (result.what == process_result::kind::cancelled) return cancelled_error();
    if (result.what == process_result::kind::failed) return result.error;
    try {
        memory_reader in{result.bytes.data(), result.bytes.size()};
        descriptor_list handles = result.descriptors;
        in.descriptors = &handles;
        return read_exception(in, origin);
    } catch (...) {
        return std::current_exception();
    }
}

exception_origin process_job_base::origin_of(const process_result& result) const noexcept {
    return {.pid = result.pid, .worker = result.worker, .task = number(), .function = name};
}

bool process_job_base::cancel_task(cancel_mode mode) noexcept {
    return cancel_in(engine_, *this,
                     mode == cancel_mode::kill ? process_cancel::kill : process_cancel::queued_only);
}

void process_job_base::leave_registry() noexcept { free_task_node(*node_); }

void process_job_base::report(const std::exception_ptr& error) const noexcept {
    report_unhandled(engine_, error, *name != '\0' ? name : nullptr);
}

} // namespace plait::detail
