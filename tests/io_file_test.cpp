// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/gather.hpp>
#include <plait/io.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>

#include <gtest/gtest.h>

#include <array>
#include <fcntl.h>
#include <numeric>
#include <semaphore>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {

using namespace std::chrono_literals;
using plait::task;
using plait::io::file;

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

class IoFile : public ::testing::Test {
  protected:
    IoFile() : path{::testing::TempDir() + "plait-io-file-" + std::to_string(::getpid())} {}
    ~IoFile() override { ::unlink(path.c_str()); }
    std::string path;
};

TEST_F(IoFile, WhatIsWrittenCanBeReadAtAnyOffset) {
    plait::run([](std::string at) -> task<void> {
        file f = co_await plait::io::open(at, {.write = true, .create = true});
        std::vector<unsigned> numbers(300'000);
        std::iota(numbers.begin(), numbers.end(), 0U);
        co_await f.write_at(std::as_bytes(std::span{numbers}), 0);
        co_await f.sync();
        EXPECT_EQ(f.size(), numbers.size() * sizeof(unsigned));
        unsigned one = 0;
        EXPECT_EQ(co_await f.read_at(std::as_writable_bytes(std::span{&one, 1}), 1000 * sizeof one),
                  sizeof one);
        EXPECT_EQ(one, 1000U);
    }(path));
}

TEST_F(IoFile, ReadingOverTheEndGivesWhatThereIsAndThenZero) {
    plait::run([](std::string at) -> task<void> {
        file f = co_await plait::io::open(at, {.write = true, .create = true});
        co_await f.write_at(bytes("twelve bytes"), 0);
        std::array<std::byte, 100> into{};
        EXPECT_EQ(co_await f.read_at(into, 0), 12U);
        EXPECT_EQ(co_await f.read_at(into, 10), 2U);
        EXPECT_EQ(co_await f.read_at(into, 12), 0U);
        EXPECT_EQ(co_await f.read_at(into, 1000), 0U);
    }(path));
}

TEST_F(IoFile, WhatIsNotInTheCacheIsReadToo) {
    plait::run([](std::string at) -> task<void> {
        std::vector<std::byte> much(4 << 20, std::byte{7});
        {
            file f = co_await plait::io::open(at, {.write = true, .create = true});
            co_await f.write_at(much, 0);
            co_await f.sync();
        }
        const int raw = ::open(at.c_str(), O_RDONLY | O_CLOEXEC);
        ::posix_fadvise(raw, 0, 0,
                        POSIX_FADV_DONTNEED); // a hint: where it is not taken, the cached way is tested again
        ::close(raw);
        file f = co_await plait::io::open(at);
        std::vector<std::byte> got(much.size());
        EXPECT_EQ(co_await f.read_at(got, 0), much.size());
        EXPECT_EQ(got, much);
    }(path));
}

TEST_F(IoFile, ManyTasksUseOneFileAtOnce) {
    plait::thread_pool pool{{.workers = 3}};
    file f = pool.submit([this] { return plait::io::open(path, {.write = true, .create = true}); }).get();
    std::vector<plait::future<void>> writers;
    for (unsigned i = 0; i < 200; ++i)
        writers.push_back(pool.submit([&f, i]() -> task<void> {
            const std::string line = std::to_string(1000 + i);
            co_await f.write_at(bytes(line), 4 * i);
        }));
    for (auto& w : writers) w.get();
    for (unsigned i = 0; i < 200; ++i) {
        std::array<char, 4> got{};
        auto read =
            pool.submit([&f, &got, i] { return f.read_at(std::as_writable_bytes(std::span{got}), 4 * i); });
        EXPECT_EQ(read.get(), 4U);
        EXPECT_EQ(std::string_view(got.data(), 4), std::to_string(1000 + i));
    }
}

TEST_F(IoFile, WhatCannotBeOpenedIsNamed) {
    try {
        plait::run(plait::io::open(path + "/nowhere"));
        FAIL() << "opened";
    } catch (const std::system_error& e) {
        EXPECT_EQ(e.code().value(), ENOENT);
        EXPECT_NE(std::string{e.what()}.find(path + "/nowhere"), std::string::npos) << e.what();
    }
    plait::run([](std::string at) -> task<void> {
        file f = co_await plait::io::open(at, {.write = true, .create = true});
        bool refused = false;
        try {
            file again =
                co_await plait::io::open(at, {.write = true, .create = true, .must_not_exist = true});
        } catch (const std::system_error& e) {
            refused = e.code().value() == EEXIST;
        }
        EXPECT_TRUE(refused);
        f.close();
        bool closed = false;
        try {
            co_await f.sync();
        } catch (const plait::closed_error&) {
            closed = true;
        }
        EXPECT_TRUE(closed);
    }(path));
}

TEST_F(IoFile, AWriteThatFailsSaysWhy) {
    plait::run([]() -> task<void> {
        file full = co_await plait::io::open("/dev/full", {.write = true});
        int error = 0;
        try {
            co_await full.write_at(bytes("no room"), 0);
        } catch (const std::system_error& e) {
            error = e.code().value();
        }
        EXPECT_EQ(error, ENOSPC);
    }());
}

TEST_F(IoFile, C20_ACancelledReadEndsWhenItsSystemCallDoes) {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); // opening it waits for the other side
    plait::event_loop loop;
    auto opened = loop.submit([this] { return plait::io::open(path); });
    loop.submit([]() -> task<void> { co_await plait::yield(); }).get(); // it is with the helper threads
    opened.cancel();
    const int other = ::open(path.c_str(), O_RDWR | O_CLOEXEC); // does not wait, and lets the reader go
    EXPECT_NO_THROW({
        try {
            opened.get();
        } catch (const plait::cancelled&) {}
    });
    ::close(other);
}

TEST_F(IoFile, C28_CachedReadsWithoutEndStarveNobody) {
    plait::event_loop loop;
    loop.run([](plait::event_loop& here, std::string at) -> task<void> {
        file f = co_await plait::io::open(at, {.write = true, .create = true});
        co_await f.write_at(bytes("cached"), 0);
        bool stop = false;
        auto busy = here.submit([&]() -> task<void> {
            std::array<std::byte, 6> into{};
            while (!stop) co_await f.read_at(into, 0);
        });
        co_await plait::sleep_for(2ms);
        stop = true;
        co_await busy;
    }(loop, path));
}

} // namespace
