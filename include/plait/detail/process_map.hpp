// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <plait/detail/map.hpp>
#include <plait/detail/parking_place.hpp>
#include <plait/detail/process_job.hpp>
#include <span>
#include <tuple>
#include <vector>

// How a map's items go to a process pool: each alone, as a task of its own, since a crash costs a task; but many of them
// by one call, from one piece of memory, and without a future each. Or, if `.chunk` says so, so many in one task.

namespace plait {
class process_pool;
}

namespace plait::detail {

/// A chunk of a map's items on its way: one task, every item's outcome apart.
template <class R, class F, class... Args>
struct process_chunk {
    enum class kind : std::uint8_t { value, exception, cancelled };

    static void write(byte_writer& out, const F& f, const std::vector<std::tuple<Args...>>& items) {
        encode_callable(out, f);
        out.put(static_cast<std::uint64_t>(items.size()));
        for (const std::tuple<Args...>& item : items)
            std::apply([&](const Args&... part) { (encode(out, part), ...); }, item);
    }

    static void entry(byte_reader& in, byte_writer& out) {
        const F f = decode_callable<F>(in);
        auto left = in.take<std::uint64_t>();
        // Results go to the memory that the arguments came in: an item's result may be longer than the item,
        // and must not overtake what has not been read yet.
        const auto size = static_cast<std::size_t>(in.remaining());
        alignas(16) std::byte near[256]; // NOLINT: as most chunks are small
        byte_buffer bytes{near, sizeof(near)};
        in.read(bytes.extend(size), size);
        memory_reader items{bytes.data(), size};
        items.descriptors = in.descriptors;
        for (; left != 0; --left) run_one(f, items, out, left == 1);
    }

    static void run_one(const F& f, byte_reader& in, byte_writer& out, bool last) {
        const outcome<R> result = detail::outcome_of([&]() -> R {
            auto call = [&]<std::size_t... I>(std::index_sequence<I...>) {
                return std::tuple<worker_callable<F>, Args...>{worker_callable<F>{f},
                                                               decode_argument<Args, I + 1>(in)...};
            }(std::index_sequence_for<Args...>{});
            if (last) in.forget_descriptors();
            if constexpr (!is_task<std::invoke_result_t<F, Args...>>) {
                if (!this_worker().drives_loop) {
                    auto run = [&]() -> R {
                        return std::apply([](auto& g, auto&... arg) -> R { return g(std::move(arg)...); },
                                          call);
                    };
                    return run_in_worker(run);
                }
            }
            return std::apply([](auto&&... part) { return worker_executor().submit(std::move(part)...); },
                              std::move(call))
                .get();
        });
        if (result.has_value()) {
            out.put(kind::value);
            if constexpr (!std::is_void_v<R>) encode<R>(out, *result);
        } else if (is_cancellation(result.error())) {
            out.put(kind::cancelled);
        } else {
            out.put(kind::exception);
            write_exception(out, result.error());
        }
    }

    static code_place where() {
        static const code_place p = place_of(reinterpret_cast<const void*>(&entry));
        return p;
    }
    static void write_function(byte_writer& out) {
        if (where() == elsewhere) write_place(out, reinterpret_cast<const void*>(&entry));
    }
};

template <class R>
struct process_result_codec<chunk_result<R>> {
    static chunk_result<R> read(byte_reader& in, const exception_origin& origin) {
        using kind = typename process_chunk<R, void (*)()>::kind;
        chunk_result<R> result;
        while (in.remaining() != 0) {
            switch (in.take<kind>()) {
            case kind::value:
                result.items.push_back(detail::outcome_of([&]() -> R {
                    if constexpr (!std::is_void_v<R>) return decode<R>(in);
                }));
                break;
            case kind::cancelled:
                result.items.push_back(outcome<R>{cancelled_error()});
                break;
            case kind::exception:
                result.items.push_back(outcome<R>{read_exception(in, origin)});
                break;
            }
        }
        // A crash costs a whole chunk, so a map may not make chunks larger of its own accord: to its
        // reckoning every item is dear. What a task costs beside its work is small here, since a lane is fed
        // ahead.
        result.spent = std::chrono::seconds{1} * static_cast<std::int64_t>(result.items.size());
        return result;
    }
};

/// One item of a map, on its way or there. It has no entry in this process's registry (it does in the worker that runs it).
class [[gnu::visibility("default")]] map_record final : public process_task {
  public:
    map_record() noexcept = default;
    ~map_record() override = default;

    /// Then nobody else looks at this any more, and the result is the caller's.
    bool is_there() const noexcept { return there_.is_woken(); }
    /// Blocks until it is there; false: the deadline has passed.
    bool wait(process_engine& engine, time_point deadline) {
        return is_there() || wait_long(engine, deadline);
    }
    /// The error that it stands for; null: a value, in its bytes. Requires is_there().
    std::exception_ptr error() const noexcept {
        if (result_.what == process_result::kind::value) return nullptr;
        return error_in(result_,
                        {.pid = result_.pid, .worker = result_.worker, .task = number(), .function = name});
    }
    process_result& result() noexcept { return result_; }
    /// It could not be sent.
    void fail(const std::exception_ptr& error) noexcept {
        result_.what = process_result::kind::failed;
        result_.error = error;
        there_.reset(true); // nobody else knows it
    }
    /// For another item.
    void renew() noexcept {
        process_task::renew();
        result_.error = nullptr; // the rest is replaced when it has finished
        there_.reset();
    }

    void finished(process_result&& result) noexcept override {
        arguments.release();
        descriptors.all.clear();
        result_ = std::move(result);
    }

  private:
    bool wait_long(process_engine& engine, time_point deadline);
    void released() noexcept override { there_.wake(); } // then it may be gone, or serve another item

    parking_place there_;
    process_result result_;
};

/// The pool of a map's tasks, which may outlive it.
class [[gnu::visibility("default")]] engine_of_map {
  public:
    engine_of_map() noexcept = default;
    explicit engine_of_map(process_pool& pool) noexcept;
    engine_of_map(engine_of_map&& other) noexcept
        : engine_{std::exchange(other.engine_, nullptr)},
          retries_{other.retries_},
          timeout_{other.timeout_} {}
    engine_of_map& operator=(engine_of_map&& other) noexcept {
        std::swap(engine_, other.engine_);
        retries_ = other.retries_;
        timeout_ = other.timeout_;
        return *this;
    }
    ~engine_of_map() {
        if (engine_ != nullptr) release(*engine_);
    }
    process_engine& get() const noexcept { return *engine_; }

    void prepare(map_record& record) const noexcept {
        record.renew();
        record.retries = retries_;
        record.timeout = timeout_;
    }
    /// All that have not failed already. Throws shutdown_error (none has been taken then).
    void submit(std::span<map_record> records) const { submit_all_to(*engine_, records); }
    void report_unread(map_record& record) const noexcept {
        process_result& result = record.result();
        if (result.what == process_result::kind::failed && result.error)
            report_unhandled(*engine_, result.error, nullptr);
    }

  private:
    process_engine* engine_ = nullptr;
    int retries_ = 0;
    std::int64_t timeout_ = 0; // nanoseconds; 0: none
};

/// How many items are sent by one call: more and more of them, up to 64, as long as that holds up nobody. A reader that may
/// wait for somebody has each of its items sent at once, as has one that is slow.
class batch_plan {
  public:
    explicit batch_plan(const map_shape& shape) noexcept
        : chunks_{shape},
          is_chunked_{shape.chunk > 1},
          most_{shape.reads_ahead ? std::max<std::size_t>(1, std::min<std::size_t>(shape.window / 4, 64))
                                  : 1} {}
    std::size_t size() const noexcept { return is_chunked_ ? chunks_.size() : now_; }
    bool fills_window() const noexcept { return !is_chunked_; }
    bool is_chunked() const noexcept { return is_chunked_; }
    chunk_sizer& chunks() noexcept { return chunks_; }

    void begin_reading() noexcept {
        if (most_ > 1) begun_ = std::chrono::steady_clock::now();
    }
    void end_reading(std::size_t items) noexcept {
        if (most_ <= 1 || items < now_) return;
        const bool quick = std::chrono::steady_clock::now() - begun_ < std::chrono::microseconds{20};
        now_ = quick ? std::min(2 * now_, most_) : 1;
    }

    using records = std::vector<map_record>;
    /// So many, or more.
    records take(std::size_t count) {
        while (!spare_.empty()) {
            records last = std::move(spare_.back());
            spare_.pop_back();
            if (last.size() >= count) return last;
        }
        return records(count);
    }
    /// All of them are over.
    void give_back(records&& served) noexcept {
        try {
            spare_.push_back(std::move(served));
        } catch (...) { // then they are freed
        }
    }

  private:
    std::vector<records> spare_;
    chunk_sizer chunks_;
    bool is_chunked_;
    std::size_t most_;
    std::size_t now_ = 1;
    time_point begun_;
};

/// Items of a map that were sent by one call, each alone; or (with `.chunk`) a chunk, which is one task.
template <class R, class F, class Item>
class process_flight;

template <class R, class F, class... Args>
class process_flight<R, F, std::tuple<Args...>> {
  public:
    using plan = batch_plan;
    using chunk = chunk_flight<R, process_pool, F, std::tuple<Args...>>;
    using call = process_call<F, Args...>;

    process_flight(process_pool& pool, F& fn, std::vector<std::tuple<Args...>>&& items, plan& p)
        : size_{items.size()} {
        if constexpr (check_call<F, R, Args...>()) {
            if (p.is_chunked()) {
                chunk_.emplace(pool, fn, std::move(items), p.chunks());
                return;
            }
            records_ = p.take(size_);
            engine_ = engine_of_map{pool};
            for (std::size_t i = 0; i < size_; ++i) write(records_[i], fn, items[i]);
            engine_.submit(std::span{records_}.first(size_));
        }
    }
    process_flight(std::size_t items, const std::exception_ptr& error) : size_{items}, refused_{error} {}
    process_flight(process_flight&&) noexcept = default;
    process_flight& operator=(process_flight&&) noexcept = default;
    ~process_flight() {
        // Failures that nobody has seen, and that are not the function's.
        for (std::size_t i = waited_; !records_.empty() && i < size_; ++i) engine_.report_unread(records_[i]);
    }

    std::size_t size() const noexcept { return size_; }

    bool wait(std::size_t item, time_point deadline, plan& p) {
        if (chunk_) return chunk_->wait(item, deadline, p.chunks());
        if (!records_.empty() && !records_[item].wait(engine_.get(), deadline)) return false;
        waited_ = item + 1;
        return true;
    }
    outcome<R> at(std::size_t item) {
        if (chunk_) return std::move(chunk_->at(item));
        if (records_.empty()) return outcome<R>{refused_};
        map_record& record = records_[item];
        if (std::exception_ptr error = record.error()) return outcome<R>{std::move(error)};
        return outcome_of([&]() -> R {
            if constexpr (!std::is_void_v<R>) {
                process_result& result = record.result();
                memory_reader in{result.bytes.data(), result.bytes.size()};
                in.descriptors = &result.descriptors;
                R value = decode<R>(in);
                if (result.bytes.size() > process_task::near_size)
                    result.bytes.release(); // it is not read again
                return value;
            }
        });
    }

    void cancel() noexcept {
        if (chunk_) chunk_->cancel();
        for (std::size_t i = 0; !records_.empty() && i < size_; ++i)
            if (!records_[i].is_there()) cancel_in(engine_.get(), records_[i], process_cancel::queued_only);
    }
    void wait_for_all() noexcept {
        if (chunk_) chunk_->wait_for_all();
        for (std::size_t i = 0; !records_.empty() && i < size_; ++i)
            records_[i].wait(engine_.get(), time_point::max());
    }
    void drop(plan& p) noexcept {
        if (chunk_) chunk_->drop(p.chunks());
        if (!records_.empty()) p.give_back(std::move(records_));
        size_ = 0;
    }

  private:
    void write(map_record& record, const F& fn, const std::tuple<Args...>& item) noexcept {
        engine_.prepare(record);
        try {
            record.function = call::where();
            buffer_writer out{record.arguments};
            out.descriptors = &record.descriptors;
            record.describe(out);
            call::write_function(out);
            std::apply([&](const Args&... part) { call::write(out, fn, part...); }, item);
            out.finish();
        } catch (...) {
            record.fail(std::current_exception());
        }
    }

    std::size_t size_ = 0;
    std::size_t waited_ = 0; // for so many of them
    engine_of_map engine_;
    batch_plan::records records_;
    std::optional<chunk> chunk_;
    std::exception_ptr refused_;
};

template <map_kind Kind, class R, class F, class Item>
    requires(Kind != map_kind::unordered)
struct map_flight_of<Kind, R, process_pool, F, Item> {
    using type = process_flight<R, F, Item>;
};

} // namespace plait::detail
