// SPDX-License-Identifier: Apache-2.0
#include "fetch/sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <plait/fetch.hpp>

namespace fs = std::filesystem;
using plait::fetch::blame;
using plait::fetch::directory;
using plait::fetch::sink;

namespace {

class FetchSink : public testing::Test {
  protected:
    FetchSink() {
        std::string name = (fs::temp_directory_path() / "plait-sink-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~FetchSink() override { fs::remove_all(path_); }

    [[nodiscard]] std::string text_of(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream{path_ / name, std::ios::binary}.rdbuf();
        return text.str();
    }
    void put(const std::string& name, const std::string& text) const { std::ofstream{path_ / name} << text; }
    [[nodiscard]] std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator{path_}, {}));
    }
    [[nodiscard]] static std::string temporary() { return ".plait-000000000000002a.part"; }

    fs::path path_;
};

} // namespace

TEST_F(FetchSink, TheNameAppearsOnlyWhenTheFileIsWhole) {
    const directory place{path_.string()};
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    file.write("hello ");
    file.write("world");
    EXPECT_TRUE(fs::exists(path_ / temporary()));
    EXPECT_FALSE(place.has("a"));
    EXPECT_EQ(file.written(), 11U);
    EXPECT_EQ(file.commit("a", sink::overwriting::no), sink::result::placed);
    EXPECT_EQ(text_of("a"), "hello world");
    EXPECT_EQ(entries(), 1U);
}

TEST_F(FetchSink, WhatIsNotCommittedIsDeleted) {
    const directory place{path_.string()};
    {
        sink file;
        ASSERT_TRUE(file.open(place, 42));
        file.write("half");
    }
    EXPECT_EQ(entries(), 0U);
}

TEST_F(FetchSink, AnExistingFileIsKeptUnlessTold) {
    const directory place{path_.string()};
    put("a", "old");
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    file.write("new");
    EXPECT_EQ(file.commit("a", sink::overwriting::no), sink::result::exists);
    EXPECT_EQ(text_of("a"), "old");
    ASSERT_TRUE(file.open(place, 42));
    file.write("new");
    EXPECT_EQ(file.commit("a", sink::overwriting::yes), sink::result::placed);
    EXPECT_EQ(text_of("a"), "new");
    EXPECT_EQ(entries(), 1U);
}

TEST_F(FetchSink, ALinkAFifoOrADirectoryInThePlaceExists) {
    const directory place{path_.string()};
    fs::create_symlink("/nonexistent/target", path_ / "link");
    ASSERT_EQ(::mkfifo((path_ / "fifo").c_str(), 0600), 0);
    fs::create_directory(path_ / "directory");
    for (const char* name : {"link", "fifo", "directory"}) {
        EXPECT_TRUE(place.has(name));
        sink file;
        ASSERT_TRUE(file.open(place, 42));
        EXPECT_EQ(file.commit(name, sink::overwriting::no), sink::result::exists) << name;
    }
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    EXPECT_EQ(file.commit("directory", sink::overwriting::yes), sink::result::exists);
    ASSERT_TRUE(file.open(place, 42));
    file.write("x");
    EXPECT_EQ(file.commit("link", sink::overwriting::yes),
              sink::result::placed); // the link went, not its target
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path_ / "link")));
}

TEST_F(FetchSink, ALeftoverIsTakenOverAndEmptied) {
    const directory place{path_.string()};
    put(temporary(), "what a killed run left");
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    file.write("x");
    EXPECT_EQ(file.commit("a", sink::overwriting::no), sink::result::placed);
    EXPECT_EQ(text_of("a"), "x");
}

TEST_F(FetchSink, ALeftoverOfAnotherUserIsNotTakenOver) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
    const directory place{path_.string()};
    put(temporary(), "his");
    ASSERT_EQ(::chown((path_ / temporary()).c_str(), 65534, 65534), 0);
    sink file;
    EXPECT_THROW((void)file.open(place, 42), plait::fetch::disk_error);
    EXPECT_EQ(text_of(temporary()), "his");
}

TEST_F(FetchSink, AFileThatAnotherHoldsIsLeftAlone) {
    const directory place{path_.string()};
    put(temporary(), "theirs");
    plait::detail::unique_fd other{::open((path_ / temporary()).c_str(), O_WRONLY | O_CLOEXEC)};
    ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
    sink file;
    EXPECT_FALSE(file.open(place, 42));
    file.drop();
    EXPECT_EQ(text_of(temporary()), "theirs");
}

TEST_F(FetchSink, ATemporaryNameThatIsALinkOrHasASecondNameIsNotWrittenThrough) {
    const directory place{path_.string()};
    put("precious", "data");
    fs::create_symlink("precious", path_ / temporary());
    {
        sink file;
        EXPECT_THROW((void)file.open(place, 42), plait::fetch::disk_error);
    }
    fs::remove(path_ / temporary());
    fs::create_hard_link(path_ / "precious", path_ / temporary());
    {
        sink file;
        EXPECT_THROW((void)file.open(place, 42), plait::fetch::disk_error);
    }
    EXPECT_EQ(text_of("precious"), "data");
    EXPECT_TRUE(fs::exists(path_ / temporary()));
}

TEST_F(FetchSink, AWholeBodyNeedsNoTemporaryName) {
    const directory place{path_.string()};
    ASSERT_TRUE(place.takes_unnamed());
    put(temporary(), "another's"); // not looked at
    sink file;
    EXPECT_EQ(file.place(place, 42, "hello", "a", sink::overwriting::no), sink::result::placed);
    EXPECT_EQ(text_of("a"), "hello");
    EXPECT_EQ(file.place(place, 42, "new", "a", sink::overwriting::no), sink::result::exists);
    EXPECT_EQ(text_of("a"), "hello");
    EXPECT_EQ(text_of(temporary()), "another's");
    EXPECT_EQ(entries(), 2U);
    EXPECT_EQ(file.place(place, 42, "new", "a", sink::overwriting::yes), sink::result::placed);
    EXPECT_EQ(text_of("a"), "new");
    EXPECT_EQ(entries(), 1U); // what lay under the temporary name was taken over
}

TEST_F(FetchSink, WithoutUnnamedFilesAWholeBodyGoesByTheTemporaryName) {
    const directory place{path_.string()};
    place.take_named_only();
    put(temporary(), "theirs");
    plait::detail::unique_fd other{::open((path_ / temporary()).c_str(), O_WRONLY | O_CLOEXEC)};
    ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
    sink file;
    EXPECT_EQ(file.place(place, 42, "x", "a", sink::overwriting::no), sink::result::held);
    other.reset();
    EXPECT_EQ(file.place(place, 42, "x", "a", sink::overwriting::no), sink::result::placed);
    EXPECT_EQ(file.place(place, 42, "y", "a", sink::overwriting::no), sink::result::exists);
    EXPECT_EQ(text_of("a"), "x");
    EXPECT_EQ(entries(), 1U);
}

TEST_F(FetchSink, LeftoversAndNamesAreSeenWhenItIsLookedAround) {
    put("there", "x");
    directory place{path_.string()};
    EXPECT_TRUE(place.may_have("anything")); // not looked yet
    place.look_around();
    EXPECT_TRUE(place.may_have("there"));
    EXPECT_FALSE(place.may_have("free"));
    EXPECT_TRUE(place.takes_unnamed());
    put(temporary(), "what a killed run left");
    directory again{path_.string()};
    again.look_around();
    EXPECT_FALSE(again.takes_unnamed());
}

TEST_F(FetchSink, PermissionsFollowTheUmask) {
    const mode_t old = ::umask(027);
    const directory place{path_.string()};
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    ASSERT_EQ(file.commit("a", sink::overwriting::no), sink::result::placed);
    ::umask(old);
    struct stat info{};
    ASSERT_EQ(::stat((path_ / "a").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0640U);
}

TEST_F(FetchSink, ATooLargeFileIsTheItemsFaultAFullDiskTheRuns) {
    EXPECT_EQ(plait::fetch::blame_for(EFBIG), blame::item);
    EXPECT_EQ(plait::fetch::blame_for(EACCES), blame::item);
    for (const int error : {ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE})
        EXPECT_EQ(plait::fetch::blame_for(error), blame::run);

    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const directory place{path_.string()};
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    const rlimit small{4096, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    try {
        file.write(std::string(8192, 'x'));
        ADD_FAILURE() << "the limit was not seen";
    } catch (const plait::fetch::disk_error& error) {
        EXPECT_EQ(error.error(), EFBIG);
        EXPECT_NE(std::string{error.what()}.find("(EFBIG)"), std::string::npos);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    file.drop();
    EXPECT_EQ(entries(), 0U);
}

TEST_F(FetchSink, TheDirectoryIsMadeOrTheRunCannotBegin) {
    const directory deep{(path_ / "a/b/c").string()};
    EXPECT_TRUE(fs::is_directory(path_ / "a/b/c"));
    put("file", "x");
    EXPECT_THROW(directory{(path_ / "file").string()}, plait::fetch::run_error);
    EXPECT_THROW(directory{(path_ / "file/below").string()}, plait::fetch::run_error);
    EXPECT_THROW(directory{"/proc/plait/none"}, plait::fetch::run_error);
}

TEST_F(FetchSink, AMovedDirectoryTakesItsFilesAlong) {
    const fs::path elsewhere = path_.string() + "-moved";
    const directory place{path_.string()};
    sink file;
    ASSERT_TRUE(file.open(place, 42));
    file.write("x");
    fs::rename(path_, elsewhere);
    EXPECT_EQ(file.commit("a", sink::overwriting::no), sink::result::placed);
    EXPECT_TRUE(fs::exists(elsewhere / "a"));
    fs::rename(elsewhere, path_);
}
