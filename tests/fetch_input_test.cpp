// SPDX-License-Identifier: Apache-2.0
#include "fetch/input.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <plait/fetch.hpp>

using plait::detail::unique_fd;
using plait::fetch::input;
using plait::fetch::input_item;
using plait::fetch::longest_line;

namespace {

unique_fd file_of(std::string_view text) {
    unique_fd fd{::memfd_create("list", MFD_CLOEXEC)};
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

std::vector<input_item> all_of(std::string_view text) {
    input in{file_of(text), "list"};
    std::vector<input_item> items;
    for (input_item item; in.next(item);) items.push_back(item);
    return items;
}

} // namespace

TEST(Input, LinesNamesCommentsAndBlankLines) {
    const auto items =
        all_of("# a comment\n\nhttp://h/a\n   \nhttp://h/b\tname b.txt\n#http://h/c\nhttp://h/d");
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items[0].text, "http://h/a");
    EXPECT_EQ(items[0].name, "");
    EXPECT_EQ(items[1].text, "http://h/b");
    EXPECT_EQ(items[1].name, "name b.txt");
    EXPECT_EQ(items[2].text, "http://h/d");
    for (const auto& item : items) EXPECT_EQ(item.fault, "");
}

TEST(Input, BomAndCrlfAreUnderstood) {
    const auto items = all_of("\xef\xbb\xbfhttp://h/a\r\nhttp://h/b\tn\r\n\r\n");
    ASSERT_EQ(items.size(), 2U);
    EXPECT_EQ(items[0].text, "http://h/a");
    EXPECT_EQ(items[1].name, "n");
    EXPECT_EQ(items[0].fault + items[1].fault, "");
}

TEST(Input, AFaultNamesTheLineAndTheRestGoesOn) {
    using namespace std::string_view_literals;
    const auto items =
        all_of("http://h/a\nhttp://h/b c\nftp://h/\nhttp://h/\0x\nhttp://h/d\tx\0y\nhttp://h/e\n"sv);
    ASSERT_EQ(items.size(), 6U);
    EXPECT_EQ(items[0].fault, "");
    EXPECT_EQ(items[1].fault, "list:2: a space at column 11");
    EXPECT_EQ(items[2].fault, "list:3: the scheme \"ftp\" is not http or https");
    EXPECT_EQ(items[3].fault, "list:4: a NUL byte at column 10");
    EXPECT_EQ(items[4].fault, "list:5: a NUL byte at column 13");
    EXPECT_EQ(items[5].fault, "");
}

TEST(Input, AnEndlessLineIsOneFaultAndTakesNoMemory) {
    const std::string start = "http://h/";
    const auto items = all_of(start + std::string(1 << 20, 'x') + "\nhttp://h/b\n" + start +
                              std::string(longest_line - start.size(), 'y') + "\n" + start +
                              std::string(longest_line - start.size() + 1, 'z'));
    ASSERT_EQ(items.size(), 4U);
    EXPECT_EQ(items[0].fault, "list:1: longer than 65536 bytes");
    EXPECT_EQ(items[0].text.size(), 256U);
    EXPECT_EQ(items[1].text, "http://h/b");
    EXPECT_EQ(items[2].fault, "");
    EXPECT_EQ(items[2].text.size(), longest_line);
    EXPECT_EQ(items[3].fault, "list:4: longer than 65536 bytes");
}

TEST(Input, LinesMayLieAcrossBlocks) {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "http://h/file-" + std::to_string(i) + "\n";
    const auto items = all_of(text);
    ASSERT_EQ(items.size(), 20000U);
    for (std::size_t i = 0; i < items.size(); ++i)
        ASSERT_EQ(items[i].text, "http://h/file-" + std::to_string(i));
}

TEST(Input, ArgumentsComeFirst) {
    input in{{"http://h/1", "nonsense"}, ""};
    input_item item;
    ASSERT_TRUE(in.next(item));
    EXPECT_EQ(item.url.host, "h");
    ASSERT_TRUE(in.next(item));
    EXPECT_EQ(item.fault.substr(0, 13), "argument 2: n");
    EXPECT_FALSE(in.next(item));
}

TEST(Input, AListThatCannotBeReadIsTheRunsError) {
    EXPECT_THROW(input(std::vector<std::string>{}, "/nonexistent/list"), plait::fetch::run_error);
    EXPECT_THROW(input(std::vector<std::string>{}, "/"), plait::fetch::run_error);
}

namespace {

struct pipe_list {
    pipe_list() {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        writer.reset(ends[1]);
        list = std::make_unique<input>(unique_fd{ends[0]}, "pipe");
    }
    void say(std::string_view text) const {
        ASSERT_EQ(::write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    unique_fd writer;
    std::unique_ptr<input> list;
};

} // namespace

TEST(Input, HalfALineOfAPipeIsNotReady) {
    pipe_list pipe;
    input_item item;
    pipe.say("# a comment\n\nhttp://h/");
    EXPECT_FALSE(pipe.list->ready()); // neither is what next() passes over
    EXPECT_FALSE(pipe.list->next_at_hand(item));
    pipe.say("1\nhttp://h/2");
    EXPECT_TRUE(pipe.list->ready());
    ASSERT_TRUE(pipe.list->next(item));
    EXPECT_EQ(item.text, "http://h/1");
    EXPECT_FALSE(pipe.list->ready());
    pipe.writer.reset();
    EXPECT_TRUE(pipe.list->ready()); // the end of the file ends the line
    ASSERT_TRUE(pipe.list->next(item));
    EXPECT_EQ(item.text, "http://h/2");
    EXPECT_FALSE(pipe.list->next(item));
}

TEST(Input, AnEndlessLineOfAPipeIsNeverWaitedFor) {
    pipe_list pipe;
    input_item item;
    const std::string part(50'000, 'x');
    for (int i = 0; i < 4; ++i) {
        pipe.say(part);
        EXPECT_FALSE(pipe.list->ready());
    }
    pipe.say("\nhttp://h/2\n");
    ASSERT_TRUE(pipe.list->ready());
    ASSERT_TRUE(pipe.list->next(item));
    EXPECT_EQ(item.fault, "pipe:1: longer than 65536 bytes");
    EXPECT_EQ(item.text, std::string(256, 'x'));
    ASSERT_TRUE(pipe.list->next_at_hand(item));
    EXPECT_EQ(item.text, "http://h/2");
    EXPECT_FALSE(pipe.list->next_at_hand(item));
}

TEST(Input, APipeThatDoesNotBlockIsReadAllTheSame) {
    pipe_list pipe;
    input_item item;
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
    input list{unique_fd{ends[0]}, "pipe"};
    unique_fd writer{ends[1]};
    std::thread later{[&] {
        EXPECT_EQ(::write(writer.get(), "http://h/1\n", 11), 11);
        writer.reset();
    }};
    EXPECT_TRUE(list.next(item));
    EXPECT_EQ(item.text, "http://h/1");
    EXPECT_FALSE(list.next(item));
    later.join();
}

TEST(Input, APipeThatHasNothingIsNotReady) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    unique_fd writer{ends[1]};
    input in{unique_fd{ends[0]}, "pipe"};
    EXPECT_FALSE(in.on_disk());
    EXPECT_FALSE(in.ready());
    ASSERT_EQ(::write(writer.get(), "http://h/1\nhttp://h/2\n", 22), 22);
    EXPECT_TRUE(in.ready());
    input_item item;
    EXPECT_TRUE(in.next(item));
    EXPECT_TRUE(in.ready()); // what is in the buffer needs no waiting
    EXPECT_TRUE(in.next(item));
    EXPECT_FALSE(in.ready());
    writer.reset();
    EXPECT_TRUE(in.ready());
    EXPECT_FALSE(in.next(item));
}
