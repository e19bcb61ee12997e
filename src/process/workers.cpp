// SPDX-License-Identifier: Apache-2.0
#include "process/process_engine.hpp"
#include "process/worker_settings.hpp"
#include "sys/futex.hpp"
#include "sys/socket_pair.hpp"

#include <plait/detail/exception_codec.hpp>

#include <sys/epoll.h>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace plait::detail {
namespace {

// A fork takes 0.2 ms; whoever takes so long is stopped, or hangs in something that is not ours.
constexpr std::int64_t patience_with_answer = 5'000'000'000;

std::exception_ptr helper_died() noexcept {
    try {
        return std::make_exception_ptr(std::runtime_error{
            "process_pool: its helper process ended, or hung, before it had started the worker"});
    } catch (...) {
        return std::current_exception();
    }
}

/// A lane's first task: what the worker must know, and the user's initialiser.
class first_task final : public process_task {
  public:
    void finished(process_result&&) noexcept override {}

  private:
    void released() noexcept override { delete this; }
};

} // namespace

void process_engine::hire(std::uint32_t worker) {
    auto lane = std::make_shared<parent_lane>(worker, next_incarnation_++, options_.at_once, spins_);
    socket_pair lifeline = make_stream_pair();
    lane->lifeline = std::move(lifeline.near);
    lane->lifeline_far = std::move(lifeline.far);
    socket_pair post = make_message_pair();
    lane->post = std::move(post.near);
    lane->post_far = std::move(post.far);
    if (options_.capture_output) lane->output_far = lane->output.open();
    if (options_.start_timeout != 0) lane->start_deadline = monotonic_now() + options_.start_timeout;

    auto* task = new first_task;
    try {
        task->setup = true;
        task->function = options_.initializer;
        buffer_writer out{task->arguments};
        write_settings(out, options_.settings);
        write_registrations(out);
        out.put(static_cast<std::uint8_t>(options_.has_initializer ? 1 : 0));
        out.write(options_.initializer_arguments.data(), options_.initializer_arguments.size());
        out.finish();
        task->descriptors = options_.initializer_descriptors;
    } catch (...) {
        task->drop_reference();
        throw;
    }
    task->stage_ = process_task::stage::placed;
    lane->place(*task, 1, 0, true);
    seats_[worker].lane = std::move(lane);
}

std::exception_ptr process_engine::cannot_start(std::uint32_t worker, int error) const noexcept {
    try {
        std::string text = "process_pool: cannot start worker " + std::to_string(worker + 1) + " of " +
                           std::to_string(seats_.size());
        if (error == EAGAIN) text += "; lower .workers or raise ulimit -u";
        if (error == EMFILE) text += "; lower .workers or raise ulimit -n";
        return std::make_exception_ptr(std::system_error{error, std::system_category(), text});
    } catch (...) {
        return std::current_exception();
    }
}

int process_engine::ask_for(parent_lane& lane) noexcept {
    const int error = ask_helper_for(lane);
    if (error != EPIPE && error != ECONNRESET) return error;
    // It has just ended, and nobody had noticed: that is no failure of this worker.
    read_helper();
    return ask_helper_for(lane);
}

int process_engine::ask_helper_for(parent_lane& lane) noexcept {
    try {
        if (!helper_.alive()) {
            helper_watched_ = false;
            helper_.start();
        }
    } catch (const std::system_error& e) {
        return e.code().value();
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    } catch (...) {
        return EPERM;
    }
    if (!helper_watched_) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = helper_.channel();
        if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, helper_.channel(), &event) != 0) return errno;
        helper_watched_ = true;
    }
    const int error = helper_.fork(lane.worker, lane.number, lane.memory.get(), bell_.get(),
                                   lane.lifeline_far.get(), lane.post_far.get(), lane.output_far.get());
    lane.asked = error == 0;
    lane.answer_deadline = monotonic_now() + patience_with_answer;
    return error;
}

void process_engine::watch_worker(parent_lane& lane) noexcept {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = lane.process.get();
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, lane.process.get(), &event);
    if (lane.output.is_open()) {
        event.data.fd = lane.output.descriptor();
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, lane.output.descriptor(), &event);
    }
    // For its hang-up alone, which is always told: nothing is ever read from it.
    event.events = 0;
    event.data.fd = lane.lifeline.get();
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, lane.lifeline.get(), &event);
}

void process_engine::read_helper() noexcept {
    const bool was_alive = helper_.alive();
    while (std::optional<helper_client::message> message = helper_.receive()) {
        const helper_reply& reply = message->reply;
        parent_lane* lane = nullptr;
        for_each_lane([&](parent_lane& l) {
            if (l.number == reply.incarnation) lane = &l;
        });
        if (lane == nullptr) continue;
        switch (reply.what) {
        case helper_reply::kind::ready:
            break;
        case helper_reply::kind::forked:
            lane->pid = reply.pid;
            lane->process = std::move(message->process);
            // The worker has its own; were these kept, the worker's death or ours would not be seen at the
            // other end.
            lane->memory.reset();
            lane->lifeline_far.reset();
            lane->post_far.reset();
            lane->output_far.reset();
            watch_worker(*lane);
            note_started(*lane);
            if (lane->killed_by_us) lane->kill(); // asked for before it had a pid
            break;
        case helper_reply::kind::fork_failed:
            lane->ended = lane->exit_known = true;
            lane->ended_at = monotonic_now();
            lane->start_error = cannot_start(lane->worker, reply.error);
            last_failure_ = lane->start_error;
            break;
        case helper_reply::kind::exited:
            lane->exit_known = true;
            lane->exit_code = reply.code;
            lane->exit_status = reply.status;
            lane->peak_memory = reply.peak_memory;
            if (!lane->ended) {
                lane->ended = true;
                lane->ended_at = monotonic_now();
                if (lane->process) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lane->process.get(), nullptr);
            }
            break;
        }
    }
    if (was_alive && !helper_.alive()) helper_gone();
}

// Its workers live on, each by its own lifeline; only nobody will tell how they end. The next one that is
// needed gets a new helper.
void process_engine::helper_gone() noexcept {
    helper_watched_ = false;
    bool any_unanswered = false;
    for_each_lane([&](parent_lane& lane) {
        if (!lane.asked) return; // the next helper will be
        lane.orphan = true;
        if (lane.process || lane.ended) return;
        // It dies of its lifeline, if it exists. Another worker gets a lane of its own.
        any_unanswered = lane.unanswered = lane.ended = true;
        lane.ended_at = monotonic_now();
        lane.lifeline.reset();
    });
    // One failure, however many it was asked for: a helper that always dies breaks the pool, one that does so
    // when all workers have to be replaced must not.
    if (!any_unanswered) return;
    const std::int64_t next = count_start_failure(start_failure::no_process, helper_died(), monotonic_now());
    for (seat& s : seats_)
        if (s.lane && s.lane->unanswered) s.not_before = next;
}

std::size_t process_engine::unanswered_requests() noexcept {
    std::size_t count = 0;
    for_each_lane([&](const parent_lane& lane) {
        if (deadline_of_answer(lane) != no_deadline) ++count;
    });
    return count;
}

bool process_engine::helper_hangs(std::int64_t now) noexcept {
    bool hangs = false;
    for_each_lane([&](const parent_lane& lane) { hangs = hangs || now >= deadline_of_answer(lane); });
    return hangs;
}

std::int64_t process_engine::deadline_of_answer(const parent_lane& lane) noexcept {
    if (!lane.asked || lane.process || lane.ended) return no_deadline;
    return lane.answer_deadline;
}

} // namespace plait::detail
