// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/process_call.hpp>
#include <plait/future.hpp>

namespace plait::detail {

/// How a task's result is read; a map's chunks have their own way.
template <class R>
struct process_result_codec {
    static R read(byte_reader& in, const exception_origin&) { return decode<R>(in); }
};

/// A large vector of what is copied by its bytes.
template <class T>
class bulk_sink final : public result_sink {
  public:
    explicit bulk_sink(std::uint64_t count) : count_{count}, bulk_{count} {}
    void append(const std::byte* bytes, std::size_t count) override {
        bulk_.append(bytes, count);
        size_ += count;
    }
    std::uint64_t size() const noexcept override { return size_; }
    void undo(byte_buffer& into) const override {
        into.append(&count_, sizeof(count_));
        bulk_.write(into);
    }
    T take() noexcept { return std::move(bulk_.value); }

  private:
    std::uint64_t count_; // of elements: what comes before them
    std::uint64_t size_ = sizeof(count_);
    bulk_reader<T> bulk_;
};
static_assert(sizeof(std::uint64_t) == sink_head);

/// The task's entry in the registry, and who ran it: what does not depend on the type of the result.
class [[gnu::visibility("default")]] process_job_base : public process_task {
  public:
    process_job_base(process_engine& engine, const submit_options& options, int default_retries,
                     nanoseconds default_timeout) noexcept;

  protected:
    ~process_job_base() override;
    /// The error that a result stands for; null: a value, in its bytes.
    std::exception_ptr error_of(const process_result& result) const noexcept;
    exception_origin origin_of(const process_result& result) const noexcept;
    bool cancel_task(cancel_mode mode) noexcept;
    void attend_to_pool() noexcept { attend_in(engine_, *this); }
    void hurry_pool() noexcept { hurry_in(engine_); }
    void leave_registry() noexcept;
    void report(const std::exception_ptr& error) const noexcept;

  private:
    process_engine& engine_; // counted: cancel() may come when the pool is gone
    task_node* node_;
};

/// A task of a process pool and its future's state, in one block.
///
/// Owners of the state: the future; the producer, until `finish`; the pool, whose reference ends with
/// `destroy`.
template <class R>
class process_job final : public hooked_state<R>, public process_job_base, public pooled {
  public:
    process_job(process_engine& engine, const submit_options& options, int default_retries,
                nanoseconds default_timeout)
        : hooked_state<R>{3}, process_job_base{engine, options, default_retries, default_timeout} {}

    bool cancel(cancel_mode mode) noexcept override {
        if (this->done()) return false;
        return cancel_task(mode) || !this->done();
    }

    void finished(process_result&& result) noexcept override {
        // Decoded here, by whoever brings the news. What a loader throws is this task's own failure.
        std::exception_ptr error = error_of(result);
        outcome<R> value = error ? outcome<R>{std::move(error)} : outcome_of([&]() -> R {
            if constexpr (is_bulk_vector<R>)
                if (result.large) return static_cast<bulk_sink<R>&>(*result.large).take();
            if constexpr (!std::is_void_v<R>) {
                memory_reader in{result.bytes.data(), result.bytes.size()};
                in.descriptors = &result.descriptors;
                return process_result_codec<R>::read(in, origin_of(result));
            }
        });
        result.bytes.release();
        this->arguments.release();
        this->descriptors.all.clear();
        leave_registry();
        this->finish(std::move(value));
    }

    sink_owner make_sink(const std::byte* head, std::uint64_t announced) override {
        if constexpr (is_bulk_vector<R>) {
            std::uint64_t count = 0;
            std::memcpy(&count, head, sizeof(count));
            const std::uint64_t bytes = announced - sizeof(count);
            if (bytes % sizeof(typename R::value_type) == 0 &&
                bytes / sizeof(typename R::value_type) == count)
                return sink_owner{new bulk_sink<R>{count}};
        }
        return process_task::make_sink(head, announced);
    }

    /// It was not taken: no future will ask.
    void discard() noexcept {
        leave_registry();
        this->release_owner();
        this->release_owner();
        this->drop_reference();
    }

  private:
    void destroy() noexcept override { delete this; }
    void help() noexcept override { this->hurry_pool(); }
    void attend() noexcept override { this->attend_to_pool(); }
    void released() noexcept override { this->release_owner(); }
    void unobserved(const std::exception_ptr& error) noexcept override { report(error); }
};

} // namespace plait::detail
