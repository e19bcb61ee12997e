// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <plait/detail/atomic.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace plait::detail {

/// Bytes on the heap that grow without being zeroed first; large ones ask for huge pages, which makes their
/// first touch two to three times cheaper.
class [[gnu::visibility("default")]] byte_buffer {
  public:
    byte_buffer() noexcept = default;
    /// Uses memory of somebody else's, who outlives it and whatever it is moved to, as long as that suffices.
    byte_buffer(std::byte* borrowed, std::size_t capacity) noexcept
        : data_{borrowed}, capacity_{capacity}, borrowed_{true} {}
    byte_buffer(byte_buffer&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)},
          size_{std::exchange(other.size_, 0)},
          capacity_{std::exchange(other.capacity_, 0)},
          borrowed_{std::exchange(other.borrowed_, false)} {}
    byte_buffer& operator=(byte_buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(borrowed_, other.borrowed_);
        return *this;
    }
    byte_buffer(const byte_buffer&) = delete;
    byte_buffer& operator=(const byte_buffer&) = delete;
    ~byte_buffer() {
        if (data_ != nullptr && !borrowed_) free_memory();
    }

    std::byte* data() noexcept { return data_; }
    const std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept { size_ = 0; }
    /// Gives the memory back.
    void release() noexcept { byte_buffer{}.swap(*this); }
    void swap(byte_buffer& other) noexcept { *this = std::move(other); }

    /// Bytes that fit behind the end as it is.
    std::size_t room() const noexcept { return capacity_ - size_; }
    /// Room for `more` bytes behind the end, not yet part of the size; throws bad_alloc.
    std::byte* extend(std::size_t more) {
        if (more > capacity_ - size_) grow(more);
        return data_ + size_;
    }
    void commit(std::size_t more) noexcept { size_ += more; }
    void append(const void* bytes, std::size_t count) {
        if (count == 0) return;
        std::memcpy(extend(count), bytes, count);
        size_ += count;
    }
    /// Drops the first `count` bytes.
    void drop_front(std::size_t count) noexcept;

  private:
    void grow(std::size_t more);
    void free_memory() noexcept;

    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool borrowed_ = false;
};

/// An open descriptor that several owners share; the last one closes it.
class [[gnu::visibility("default")]] shared_descriptor {
  public:
    shared_descriptor() noexcept = default;
    /// Takes over an open descriptor, also if it throws bad_alloc: then it is closed.
    explicit shared_descriptor(int owned);
    shared_descriptor(const shared_descriptor& other) noexcept : counted_{other.counted_} {
        if (counted_ != nullptr) counted_->owners.fetch_add(1, order::relaxed);
    }
    shared_descriptor(shared_descriptor&& other) noexcept
        : counted_{std::exchange(other.counted_, nullptr)} {}
    shared_descriptor& operator=(shared_descriptor other) noexcept {
        std::swap(counted_, other.counted_);
        return *this;
    }
    ~shared_descriptor() {
        // acq_rel: the last one closes it after what the others have done with it.
        if (counted_ != nullptr && counted_->owners.fetch_sub(1, order::acq_rel) == 1) close_last();
    }

    int get() const noexcept { return counted_ != nullptr ? counted_->fd : -1; }
    explicit operator bool() const noexcept { return counted_ != nullptr; }
    bool operator==(const shared_descriptor& other) const noexcept { return counted_ == other.counted_; }

  private:
    struct counted {
        atomic<std::uint32_t> owners{1};
        int fd = -1;
    };
    void close_last() noexcept;
    counted* counted_ = nullptr;
};

/// The descriptors that an encoded value mentions, by position. An empty one is a hole: the receiver may not
/// have more open files.
struct descriptor_list {
    std::vector<shared_descriptor> all;
};

/// Where encoded values go: a window that is written directly, and what happens when it is full.
class [[gnu::visibility("default")]] byte_writer {
  public:
    byte_writer() noexcept = default;
    byte_writer(const byte_writer&) = delete;
    byte_writer& operator=(const byte_writer&) = delete;

    void write(const void* bytes, std::size_t count) {
        if (count <= static_cast<std::size_t>(end_ - next_)) [[likely]] {
            if (count != 0) std::memcpy(next_, bytes, count);
            next_ += count;
        } else {
            overflow(static_cast<const std::byte*>(bytes), count);
        }
    }
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void put(const T& value) {
        write(&value, sizeof(T));
    }

    /// Where the descriptors of handles go; null: only bytes travel this way.
    descriptor_list* descriptors = nullptr;

  protected:
    ~byte_writer() = default;
    /// Takes `count` bytes that do not fit the window; may set another window.
    virtual void overflow(const std::byte* bytes, std::size_t count) = 0;

    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
};

/// The other direction.
class [[gnu::visibility("default")]] byte_reader {
  public:
    byte_reader() noexcept = default;
    byte_reader(const byte_reader&) = delete;
    byte_reader& operator=(const byte_reader&) = delete;

    void read(void* to, std::size_t count) {
        if (count <= static_cast<std::size_t>(end_ - next_)) [[likely]] {
            if (count != 0) std::memcpy(to, next_, count);
            next_ += count;
        } else {
            underflow(static_cast<std::byte*>(to), count);
        }
    }
    template <class T>
        requires std::is_trivially_copyable_v<T>
    T take() {
        T value;
        read(&value, sizeof(T));
        return value;
    }
    /// The next bytes as they lie there, at most `count` of them and at least one, where there are any; `skip` uses them up.
    std::pair<const std::byte*, std::size_t> look(std::size_t count) {
        if (next_ == end_) more();
        const auto here = static_cast<std::size_t>(end_ - next_);
        return {next_, count < here ? count : here};
    }
    void skip(std::size_t count) noexcept { next_ += count; }
    /// Bytes that are still to come: the bound for every length that is read.
    virtual std::uint64_t remaining() const noexcept = 0;
    /// Throws if fewer than `count` elements of `size` bytes can follow: a damaged length must not become a
    /// request for memory.
    void expect(std::uint64_t count, std::size_t size) const;

    /// Those that came with the bytes; null: none.
    descriptor_list* descriptors = nullptr;
    /// All handles have been read: from here on theirs are the only copies, and what they close is closed.
    void forget_descriptors() noexcept {
        if (descriptors != nullptr) descriptors->all.clear();
    }

  protected:
    ~byte_reader() = default;
    virtual void underflow(std::byte* to, std::size_t count) = 0;
    /// What was seen is used up: sets the next piece, or throws.
    virtual void more() = 0;
    [[noreturn]] static void ended_early();

    const std::byte* next_ = nullptr;
    const std::byte* end_ = nullptr;
};

/// Writes to a byte_buffer.
class [[gnu::visibility("default")]] buffer_writer final : public byte_writer {
  public:
    explicit buffer_writer(byte_buffer& buffer) noexcept : buffer_{buffer} {
        if (buffer.room() == 0) return;
        begin_ = next_ = buffer.data() + buffer.size();
        end_ = begin_ + buffer.room();
    }
    /// Everything written is in the buffer from here on.
    void finish() noexcept;

  private:
    void overflow(const std::byte* bytes, std::size_t count) override;
    byte_buffer& buffer_;
    std::byte* begin_ = nullptr;
};

/// Asks for huge pages for a large array before its first touch.
[[gnu::visibility("default")]] void prepare_large(void* data, std::size_t size) noexcept;

/// Reads memory.
class [[gnu::visibility("default")]] memory_reader final : public byte_reader {
  public:
    memory_reader(const std::byte* bytes, std::size_t count) noexcept {
        next_ = bytes;
        end_ = bytes + count;
    }
    std::uint64_t remaining() const noexcept override { return static_cast<std::uint64_t>(end_ - next_); }

  private:
    void underflow(std::byte* to, std::size_t count) override;
    void more() override;
};

/// A handle mentions its descriptor: it goes to the list of whoever writes. Throws logic_error where only
/// bytes travel.
[[gnu::visibility("default")]] void put_descriptor(byte_writer& out, const shared_descriptor& descriptor);
/// The other side. Throws system_error (EMFILE) for a hole, runtime_error for what cannot be.
[[gnu::visibility("default")]] shared_descriptor take_descriptor(byte_reader& in);

} // namespace plait::detail
