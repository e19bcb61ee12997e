// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/fetch.hpp>
#include <plait/task_group.hpp>
#include <plait/time.hpp>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "fetch/crew.hpp"
#include "fetch/ledger.hpp"
#include "fetch/limits.hpp"
#include "fetch/plan.hpp"
#include "http/escape.hpp"

namespace plait::fetch {
namespace {

using namespace std::chrono_literals;

/// What may still end after the first request to stop.
constexpr auto grace = 10s;
/// How soon a request to stop is seen.
constexpr auto beat = 50ms;
constexpr auto between_reports = 250ms;

time_point now() { return std::chrono::steady_clock::now(); }

/// One run: as many slots as may be in flight, each takes the next order when its last one has ended, and a
/// heartbeat for what no answer brings about: hosts that open again, the wish to stop, progress.
class coordinator {
  public:
    coordinator(ledger& book, plan& next, observer& seen, const stopper* until)
        : book_(book), plan_(next), seen_(seen), until_(until), began_(now()), reported_(began_) {}

    void set_crew(crew& workers) { crew_ = &workers; }

    task<> main(event_loop& loop) {
        auto heart = loop.submit([this] { return beats(); });
        auto all_slots = [this](task_group& slots) -> task<> {
            slots_ = &slots;
            for (std::size_t i = 0; i < crew_->places(); ++i) (void)slots.spawn([this] { return slot(); });
            co_return;
        };
        co_await with_group(all_slots);
        slots_ = nullptr;
        heart.cancel();
        try {
            co_await std::move(heart);
        } catch (const cancelled&) {}
        if (broken_) std::rethrow_exception(broken_);
        tell(now());
    }

    /// For a crew that blocks: looks around, and says whether to give up.
    [[nodiscard]] bool look_around() {
        tick();
        return given_up_;
    }
    [[nodiscard]] bool interrupted() const noexcept { return stopping_; }
    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(now() - began_).count(); }

  private:
    task<> slot() {
        while (!broken_) {
            auto todo = take();
            if (!todo) {
                if (plan_.over()) break;
                if (plan_.can_read_on()) {
                    co_await yield();
                    continue;
                }
                promise<void> wake_up;
                auto woken = wake_up.get_future();
                idle_.push_back(std::move(wake_up));
                co_await woken;
                continue;
            }
            const std::uint32_t id = todo->id;
            std::optional<fetched> answer;
            std::string broken_down; // what goes wrong with an item is in the answer: this is no item's
            try {
                answer = co_await crew_->perform(std::move(*todo));
            } catch (const cancelled&) {
            } catch (const std::exception& error) {
                broken_down = error.what();
                if (broken_down.empty()) broken_down = "a worker broke down";
            }
            const bool gave_up = !answer;
            settle(id, answer, std::move(broken_down));
            if (crew_->blocks() && !gave_up) co_await yield();
        }
        wake_all();
    }

    std::optional<order> take() {
        try {
            auto todo = plan_.next(now());
            if (todo && plan_.has_more()) wake_one();
            return todo;
        } catch (...) {
            broken_ = std::current_exception();
            return std::nullopt;
        }
    }

    void settle(std::uint32_t id, std::optional<fetched>& answer, std::string broken_down) {
        try {
            if (answer) {
                answer->id = id;
                plan_.finish(*answer, now());
            } else if (broken_down.empty()) {
                plan_.abandon(id, now());
            } else {
                plan_.break_down(id, std::move(broken_down), now());
            }
        } catch (...) {
            broken_ = std::current_exception();
        }
    }

    task<> beats() {
        for (;;) {
            auto pause = std::chrono::nanoseconds(beat);
            if (const auto next = plan_.wake_time())
                pause = std::clamp<std::chrono::nanoseconds>(*next - now(), 1ms, pause);
            co_await sleep_for(pause);
            tick();
        }
    }

    void tick() {
        const time_point moment = now();
        if (!stopping_ && until_ != nullptr && until_->stopped()) {
            stopping_ = true;
            give_up_at_ = moment + grace;
            plan_.stop(moment);
            seen_.stopping(plan_.hosts().in_flight());
        }
        if (!book_.error().empty()) plan_.stop(moment);
        if (stopping_ && !given_up_ && (moment >= give_up_at_ || until_->stopped_now())) {
            given_up_ = true;
            if (!crew_->abandon_all() && slots_ != nullptr) slots_->cancel();
        }
        if (plan_.over() || broken_)
            wake_all();
        else
            wake_one();
        if (moment - reported_ >= between_reports) tell(moment);
    }

    void tell(time_point moment) {
        reported_ = moment;
        book_.flush();
        progress so_far;
        const totals& counts = book_.so_far();
        so_far.known = plan_.known();
        so_far.all_known = plan_.all_known();
        so_far.done = counts.done;
        so_far.failed = counts.failed;
        const crew::underway now_there = crew_->look();
        bytes_shown_ =
            std::max(bytes_shown_, counts.bytes + now_there.bytes); // one may just be changing over
        so_far.bytes = bytes_shown_;
        so_far.lengths_known = counts.done + now_there.announced;
        so_far.lengths = counts.done_bytes + now_there.lengths;
        so_far.in_flight = plan_.hosts().in_flight();
        so_far.waiting_hosts = plan_.hosts().closed_hosts();
        so_far.seconds = std::chrono::duration<double>(moment - began_).count();
        seen_.moved(so_far);
    }

    void wake_one() {
        if (idle_.empty()) return;
        auto sleeper = std::move(idle_.back());
        idle_.pop_back();
        sleeper.set_value();
    }
    void wake_all() {
        while (!idle_.empty()) wake_one();
    }

    ledger& book_;
    plan& plan_;
    observer& seen_;
    const stopper* until_;
    crew* crew_ = nullptr;
    task_group* slots_ = nullptr;
    std::vector<promise<void>> idle_;
    std::exception_ptr broken_;
    time_point began_;
    time_point reported_;
    time_point give_up_at_{};
    std::uint64_t bytes_shown_ = 0;
    bool stopping_ = false;
    bool given_up_ = false;
};

void check(const options& what) {
    if (what.urls.empty() && what.input.empty())
        throw std::invalid_argument("no URL; give some, or a list by --input");
    if (what.connections == 0) throw std::invalid_argument("connections must be at least 1");
    for (const std::string& header : what.headers)
        if (const std::string fault = http::detail::header_fault(header); !fault.empty())
            throw std::invalid_argument("the header \"" + http::detail::escape(header) + "\" has " + fault);
    if (const std::string fault = http::detail::header_fault("User-Agent: " + what.user_agent);
        !fault.empty())
        throw std::invalid_argument("the user agent has " + fault);
}

work_options common_of(const options& what) {
    work_options out;
    if (!what.discard) out.directory = what.directory.empty() ? "." : what.directory;
    out.headers = what.headers;
    out.user_agent = what.user_agent;
    out.ca_file = what.ca_file;
    out.connect_timeout = what.connect_timeout.count();
    out.stall_timeout = what.stall_timeout.count();
    out.max_size = what.max_size;
    out.kept = kept_of(what.executor, {what.workers, what.connections});
    // Where an engine never has more requests in flight than it keeps connections, that many are all it may
    // have open. Loops get their orders in turn, so one of them may have more than its share for a while.
    out.most = what.executor == strategy::loops ? 0 : out.kept;
    out.overwrite = what.overwrite;
    out.insecure = what.insecure;
    return out;
}

} // namespace

summary run(const options& given, observer* watching, const stopper* until) {
    observer nobody;
    observer& seen = watching != nullptr ? *watching : nobody;
    options what = given;
    check(what);
    std::string note;
    const crew_size size = fit(what, note);
    what.connections = size.connections;
    what.workers = size.workers;
    if (!note.empty()) seen.note(note);
    if (what.insecure) seen.note("TLS certificates are not checked (--insecure)");

    plan next{what, std::random_device{}()};
    work_options common = common_of(what);
    if (!common.directory.empty()) (void)directory{common.directory}; // before a report is begun
    ledger book{what, seen};
    next.keep_in(book);
    coordinator all{book, next, seen, until};
    const give_up asked{[](void* self) { return static_cast<coordinator*>(self)->look_around(); }, &all};
    const std::unique_ptr<crew> workers = make_crew(what, std::move(common), asked);
    all.set_crew(*workers);
    {
        // No watchdog: files are written in between, and a slow disk is nothing the user can put elsewhere.
        event_loop loop{{.name = "plait-fetch", .slow_task_threshold = 0ns}};
        loop.run(all.main(loop));
    }
    book.flush();

    summary out;
    const totals& counts = book.so_far();
    out.items = counts.items;
    out.done = counts.done;
    out.failed = counts.failed;
    out.bytes = counts.bytes;
    out.requests = counts.requests;
    out.seconds = all.seconds();
    out.interrupted = all.interrupted();
    out.workers = workers->workers();
    out.connections = what.connections;
    out.report_failed = !book.error().empty();
    out.run_error = next.run_error().empty() ? book.error() : next.run_error();
    for (std::size_t i = 1; i < reason_texts.size(); ++i)
        if (counts.by_reason[i] != 0) out.reasons.emplace_back(reason_texts[i], counts.by_reason[i]);
    return out;
}

} // namespace plait::fetch
