// SPDX-License-Identifier: Apache-2.0
#include <plait/process.hpp>

#include "process/blocking.hpp"
#include "process/process_engine.hpp"

#include <plait/offload.hpp>
#include <plait/wait.hpp>

#include <unistd.h>

#include <csignal>
#include <memory>
#include <span>
#include <stdexcept>

// A pool of one worker that takes one task and is shut down at once: it leaves when that has ended, and is
// not replaced when it dies.

namespace plait {
namespace {

constexpr std::chrono::seconds grace{5};

} // namespace

struct process::implementation {
    explicit implementation(process_options& o) : name{std::move(o.name)} {}
    implementation(const implementation&) = delete;
    implementation& operator=(const implementation&) = delete;
    ~implementation() {
        if (task != nullptr) task->drop_reference();
        if (engine != nullptr) detail::destroy_process_engine(engine);
    }

    void note_pid() noexcept {
        detail::process_worker_status s;
        if (::getpid() == owner && detail::copy_status(*engine, &s, 1) == 1 && s.pid != 0)
            last_pid.store(s.pid, detail::order::relaxed);
    }

    /// It has ended: reads how, once, and waits until the process is gone.
    void settle() {
        if (is_settled()) return;
        detail::shut_down(*engine, true, false, false);
        std::exception_ptr error = result.get_outcome().error();
        settled.store(1, detail::order::release);
        const int asked = signalled.load(detail::order::relaxed);
        if (!error) {
            code = 0;
            return;
        }
        try {
            std::rethrow_exception(error);
        } catch (const cancelled&) {
            code = -asked; // before it had begun, or by kill()
        } catch (const worker_lost& lost) {
            code = lost.signal() != 0 ? -lost.signal() : lost.status();
            if (asked == 0 || (lost.signal() != asked && lost.signal() != SIGKILL))
                failure = std::move(error);
        } catch (...) {
            code = 1;
            failure = std::move(error);
        }
    }
    void throw_failure() {
        told = true;
        if (failure) std::rethrow_exception(failure);
    }

    const std::string name;       // the task refers to it
    const int owner = ::getpid(); // a forked child's copy is not for that to end
    detail::process_engine* engine = nullptr;
    detail::process_task* task = nullptr; // a reference: terminate() may come while `result` is read
    future<void> result;
    /// release: whoever sees it need not look at the process any more.
    bool is_settled() const noexcept { return settled.load(detail::order::acquire) != 0; }
    detail::atomic<std::uint32_t> settled{0};
    bool told = false; // somebody has seen the failure
    int code = 0;
    std::exception_ptr failure;
    // relaxed: numbers, and nothing is read through them.
    detail::atomic<int> last_pid{0};
    detail::atomic<int> signalled{0}; // what we sent last
};

void process::start(process_options options, prepared p) {
    auto self = std::make_unique<implementation>(options);
    detail::process_engine_options o;
    o.workers = 1;
    if (options.start_timeout != detail::nanoseconds::max()) o.start_timeout = options.start_timeout.count();
    o.on_unhandled = std::move(options.on_unhandled);
    self->engine = detail::make_process_engine(std::move(o));
    self->note_pid();
    submit_options task_options{.created = {}};
    if (!self->name.empty()) task_options.name = self->name.c_str();
    auto* const job =
        new detail::process_job<void>{*self->engine, task_options, 0, detail::nanoseconds::max()};
    try {
        job->function = p.function;
        detail::buffer_writer out{job->arguments};
        job->describe(out);
        out.write(p.arguments.data(), p.arguments.size());
        out.finish();
        job->descriptors = std::move(p.descriptors);
        job->add_reference(); // ours; the pool's ends with the task, which may be at once
        self->task = job;
        detail::submit_to(*self->engine, *job);
    } catch (...) {
        if (std::exchange(self->task, nullptr) != nullptr) job->drop_reference();
        job->discard();
        throw;
    }
    self->result = detail::future_access::make<void>(*job);
    detail::shut_down(*self->engine, false, false, false);
    self_ = self.release();
}

process::~process() {
    if (self_ == nullptr || ::getpid() != self_->owner) return;
    implementation& self = *self_;
    try {
        if (!self.is_settled()) {
            if (!self.result.done()) {
                terminate();
                const blocking_region elsewhere;
                if (!self.result.wait_for(grace)) kill();
                self.result.wait();
            }
            self.settle();
        }
    } catch (...) {
        kill(); // a loop's own thread may not wait; nothing is left to tell it to
    }
    if (self.failure && !self.told)
        detail::report_unhandled(*self.engine, self.failure, self.name.empty() ? nullptr : self.name.c_str());
    delete self_;
}

process::implementation& process::self() const {
    if (self_ == nullptr)
        throw std::logic_error{"process: this object holds none (moved from, or never started)"};
    return *self_;
}

void process::join() {
    detail::refuse_to_block("process.join", "joined()");
    join_within(detail::nanoseconds::max());
}

bool process::join_within(detail::nanoseconds d) {
    implementation& s = self();
    if (!s.is_settled()) {
        if (!s.result.wait_for(d)) return false;
        s.settle();
    }
    s.throw_failure();
    return true;
}

task<void> process::joined() {
    implementation& s = self();
    if (!s.is_settled()) {
        const std::span<const future<void>> one{&s.result, 1};
        static_cast<void>(co_await wait_async(one)); // which borrows it: a cancelled wait leaves it as it is
        auto rest = offload([&s] { s.settle(); });   // the process is leaving
        co_await rest;
    }
    s.throw_failure();
}

bool process::running() const {
    implementation& s = self();
    return !s.is_settled() && !s.result.done();
}

void process::terminate() noexcept {
    if (self_ == nullptr || self_->is_settled()) return;
    self_->signalled.store(SIGTERM, detail::order::relaxed);
    if (!detail::cancel_in(*self_->engine, *self_->task, detail::process_cancel::queued_only))
        detail::signal_workers(*self_->engine, SIGTERM);
}

void process::kill() noexcept {
    if (self_ == nullptr || self_->is_settled()) return;
    self_->signalled.store(SIGKILL, detail::order::relaxed);
    detail::cancel_in(*self_->engine, *self_->task, detail::process_cancel::kill);
}

std::optional<int> process::exit_code() {
    implementation& s = self();
    if (!s.is_settled()) {
        if (!s.result.done()) return std::nullopt;
        s.settle();
    }
    return s.code;
}

int process::pid() const noexcept {
    if (self_ == nullptr) return 0;
    if (!self_->is_settled()) self_->note_pid();
    return self_->last_pid.load(detail::order::relaxed);
}

const std::string& process::name() const { return self().name; }

} // namespace plait
