// SPDX-License-Identifier: Apache-2.0
// limit: 60
#include <gtest/gtest.h>

#include <any>
#include <filesystem>
#include <future>
#include <ios>
#include <optional>
#include <plait/errors.hpp>
#include <plait/process_pool.hpp>
#include <regex>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "support/process_tasks.hpp"

namespace {

using plait::process_pool;
using plait::remote_error;

struct refuses_to_be_made {
    refuses_to_be_made() = default;
    explicit refuses_to_be_made(int) { throw 1; }
    refuses_to_be_made(const refuses_to_be_made&) {}
};
std::variant<refuses_to_be_made, int> valueless() {
    std::variant<refuses_to_be_made, int> v;
    try {
        v.emplace<0>(1);
    } catch (int) {
        // now it holds nothing
    }
    return v;
}

// One way to throw per number; the same function runs here and there, and both results must agree.
void throw_standard(int which) {
    switch (which) {
    case 0:
        throw std::runtime_error{"runtime"};
    case 1:
        throw std::logic_error{"logic"};
    case 2:
        throw std::invalid_argument{"argument"};
    case 3:
        throw std::domain_error{"domain"};
    case 4:
        throw std::length_error{""};
    case 5:
        throw std::out_of_range{"range, with ütf-8"};
    case 6:
        throw std::range_error{"r"};
    case 7:
        throw std::overflow_error{"o"};
    case 8:
        throw std::underflow_error{"u"};
    case 9:
        throw std::bad_alloc{};
    case 10:
        throw std::bad_array_new_length{};
    case 11:
        throw std::bad_cast{};
    case 12:
        throw std::bad_any_cast{};
    case 13:
        throw std::bad_typeid{};
    case 14:
        throw std::bad_exception{};
    case 15:
        throw std::bad_function_call{};
    case 16:
        throw std::bad_weak_ptr{};
    case 17:
        throw std::bad_optional_access{};
    case 18:
        throw std::exception{};
    case 19:
        throw std::system_error{ENOSPC, std::generic_category(), "writing"};
    case 20:
        throw std::system_error{std::make_error_code(std::errc::timed_out)};
    case 21:
        throw std::ios_base::failure{"stream", std::io_errc::stream};
    case 22:
        throw std::filesystem::filesystem_error{"open", "/a",
                                                std::make_error_code(std::errc::no_such_file_or_directory)};
    case 23:
        throw std::filesystem::filesystem_error{"copy", "/a", "/b c", {EACCES, std::system_category()}};
    case 24:
        throw std::future_error{std::future_errc::broken_promise};
    case 25:
        static_cast<void>(std::regex{"("});
        break;
    case 26:
        throw plait::timeout_error{"late"};
    case 27:
        throw plait::closed_error{"closed"};
    case 28:
        throw plait::pool_broken{"inner"};
    case 29:
        throw plait::shutdown_error{"shut"};
    case 30:
        std::get<1>(std::variant<int, long>{1});
        break;
    case 31:
        throw plait::interrupted{};
    case 32:
        throw std::bad_variant_access{};
    case 33:
        std::get<1>(valueless());
        break;
    case 34:
        std::visit([](const auto&) {}, valueless());
        break;
    default:
        break;
    }
}
constexpr int standard_ways = 35;

TEST(RemoteError, P8_StandardExceptionsComeBackAsThemselvesWithTheirText) {
    process_pool pool{{.workers = 1}};
    for (int which = 0; which < standard_ways; ++which) {
        SCOPED_TRACE(which);
        std::string what;
        const std::type_info* type = nullptr;
        try {
            throw_standard(which);
            FAIL();
        } catch (const std::exception& e) {
            what = e.what();
            type = &typeid(e);
        }
        try {
            pool.submit(throw_standard, which).get();
            ADD_FAILURE() << "did not throw";
        } catch (const std::exception& e) {
            EXPECT_EQ(e.what(), what);
            EXPECT_EQ(typeid(e), *type) << typeid(e).name();
        }
    }
}

TEST(RemoteError, P8_ErrorCodesKeepCategoryAndPaths) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit(throw_standard, 19).get();
        FAIL();
    } catch (const std::system_error& e) {
        EXPECT_EQ(e.code(), std::errc::no_space_on_device);
        EXPECT_EQ(&e.code().category(), &std::generic_category());
    }
    try {
        pool.submit(throw_standard, 23).get();
        FAIL();
    } catch (const std::filesystem::filesystem_error& e) {
        EXPECT_EQ(e.path1(), "/a");
        EXPECT_EQ(e.path2(), "/b c");
        EXPECT_EQ(e.code(), (std::error_code{EACCES, std::system_category()}));
    }
}

struct own_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void throw_nested() {
    try {
        try {
            throw own_error{"innermost"};
        } catch (...) {
            std::throw_with_nested(std::out_of_range{"middle"});
        }
    } catch (...) {
        std::throw_with_nested(std::runtime_error{"outer"});
    }
}

TEST(RemoteError, P8_NestedCausesAreKept) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit({.name = "nest"}, throw_nested).get();
        FAIL();
    } catch (const std::runtime_error& outer) {
        EXPECT_STREQ(outer.what(), "outer");
        try {
            std::rethrow_if_nested(outer);
            FAIL();
        } catch (const std::out_of_range& middle) {
            EXPECT_STREQ(middle.what(), "middle");
            try {
                std::rethrow_if_nested(middle);
                FAIL();
            } catch (const remote_error& inner) {
                EXPECT_STREQ(inner.what(), "innermost");
                EXPECT_NE(inner.type().find("own_error"), std::string::npos) << inner.type();
                EXPECT_EQ(inner.function(), "nest");
            }
        }
    }
}

void throw_below_unknown_types() {
    try {
        try {
            throw std::out_of_range{"innermost"};
        } catch (...) {
            std::throw_with_nested(own_error{"middle"});
        }
    } catch (...) {
        std::throw_with_nested(own_error{"outer"});
    }
}

TEST(RemoteError, P9_CausesBelowARemoteErrorAreKept) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit(throw_below_unknown_types).get();
        FAIL();
    } catch (const remote_error& outer) {
        EXPECT_STREQ(outer.what(), "outer");
        EXPECT_EQ(outer.type(), "(anonymous namespace)::own_error");
        try {
            std::rethrow_if_nested(outer);
            FAIL();
        } catch (const remote_error& middle) {
            EXPECT_STREQ(middle.what(), "middle");
            try {
                std::rethrow_if_nested(middle);
                FAIL();
            } catch (const std::out_of_range& inner) {
                EXPECT_STREQ(inner.what(), "innermost");
            }
        }
    }
}

std::exception_ptr group_of(std::vector<std::exception_ptr> errors) {
    return std::make_exception_ptr(plait::error_group{std::move(errors)});
}

void throw_group() {
    const std::exception_ptr inner = group_of({std::make_exception_ptr(std::domain_error{"inner"})});
    try {
        throw std::length_error{"cause"};
    } catch (...) {
        std::throw_with_nested(plait::error_group{{std::make_exception_ptr(std::out_of_range{"first"}),
                                                   std::make_exception_ptr(own_error{"second"}), inner}});
    }
}

TEST(RemoteError, P8_AGroupComesBackWithAllItsErrorsAndItsCause) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit({.name = "grouped"}, throw_group).get();
        FAIL();
    } catch (const plait::error_group& e) {
        EXPECT_STREQ(e.what(), "3 tasks of the group failed; the first: first");
        ASSERT_EQ(e.errors().size(), 3U);
        EXPECT_THROW(std::rethrow_exception(e.errors()[0]), std::out_of_range);
        try {
            std::rethrow_exception(e.errors()[1]);
        } catch (const remote_error& second) {
            EXPECT_STREQ(second.what(), "second");
            EXPECT_EQ(second.function(), "grouped");
        }
        try {
            std::rethrow_exception(e.errors()[2]);
        } catch (const plait::error_group& third) {
            ASSERT_EQ(third.errors().size(), 1U);
            EXPECT_THROW(std::rethrow_exception(third.errors()[0]), std::domain_error);
        }
        EXPECT_THROW(std::rethrow_if_nested(e), std::length_error);
    }
}

TEST(RemoteError, GroupsInGroupsEndSomewhere) {
    process_pool pool{{.workers = 1}};
    auto f = pool.submit([] {
        std::exception_ptr error = std::make_exception_ptr(std::domain_error{"deep"});
        for (int i = 0; i < 100; ++i) error = group_of({error});
        std::rethrow_exception(error);
    });
    try {
        f.get();
        FAIL();
    } catch (const plait::error_group& e) {
        EXPECT_NE(std::string{e.what()}.find("deep"), std::string::npos);
    }
}

struct odd {
    explicit odd(int v) : value{v} {}
    int value;
};

/// Cannot be made again without its argument; Python's pools hang on such a type.
struct made_once : std::runtime_error {
    explicit made_once(int argument) : std::runtime_error{"made"} {
        static int made = 0;
        if (argument != 17 || ++made > 1) ::abort();
    }
    made_once(const made_once&) = default;
};

TEST(RemoteError, P9_OtherTypesComeBackAsRemoteErrorWithTheirOrigin) {
    process_pool pool{{.workers = 1}};
    const int pid = pool.submit(process_tasks::pid_of_worker).get();
    const auto thrown_by = [&](auto f) {
        try {
            pool.submit({.name = "thrower"}, f).get();
        } catch (const remote_error& e) {
            EXPECT_EQ(e.pid(), pid);
            EXPECT_EQ(e.function(), "thrower");
            EXPECT_NE(e.task(), 0U);
            return e;
        }
        ADD_FAILURE() << "no remote_error";
        return remote_error{{}};
    };
    const remote_error own = thrown_by([] { throw own_error{"of its own"}; });
    EXPECT_NE(own.type().find("own_error"), std::string::npos) << own.type();
    EXPECT_STREQ(own.what(), "of its own");
    const remote_error number = thrown_by([] { throw 42; });
    EXPECT_EQ(number.type(), "int");
    EXPECT_STREQ(number.what(), "42");
    EXPECT_STREQ(thrown_by([] { throw "text"; }).what(), "text");
    EXPECT_STREQ(thrown_by([] { throw std::string{"string"}; }).what(), "string");
    EXPECT_NE(thrown_by([] { throw odd{1}; }).type().find("odd"), std::string::npos);
    EXPECT_STREQ(thrown_by([] { throw made_once{17}; }).what(), "made");
}

/// Registered, and nothing that reads it succeeds.
struct unreadable_error : std::runtime_error {
    unreadable_error() : std::runtime_error{"unreadable"} {}
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::string{"content"});
    }
    template <class Archive>
    void load(Archive&) {
        throw std::domain_error{"cannot be read"};
    }
};

TEST(RemoteError, P9_ARegisteredTypeWhoseLoaderThrowsFailsItsTaskAlone) {
    plait::register_exception<unreadable_error>();
    process_pool pool{{.workers = 1}};
    const int pid = pool.submit(process_tasks::pid_of_worker).get();
    for (int i = 0; i < 5; ++i) {
        auto f = pool.submit([] { throw unreadable_error{}; });
        auto next = pool.submit(process_tasks::add, i, 1);
        EXPECT_THROW(f.get(), std::domain_error);
        EXPECT_EQ(next.get(), i + 1);
    }
    EXPECT_EQ(pool.submit(process_tasks::pid_of_worker).get(), pid);
}

TEST(RemoteError, P9_ATaskThatThrowsCancelledIsCancelled) {
    process_pool pool{{.workers = 1}};
    auto f = pool.submit([] { throw plait::cancelled{}; });
    f.wait();
    EXPECT_TRUE(f.cancelled());
    EXPECT_THROW(f.get(), plait::cancelled);
}

class parse_error : public std::runtime_error {
  public:
    parse_error() : std::runtime_error{""} {}
    parse_error(std::string text, int line) : std::runtime_error{text}, text_{std::move(text)}, line_{line} {}
    const char* what() const noexcept override { return text_.c_str(); }
    int line() const { return line_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text_, line_);
    }

  private:
    std::string text_;
    int line_ = 0;
};
struct derived_parse_error : parse_error {
    using parse_error::parse_error;
};

TEST(RemoteError, ARegisteredTypeComesBackAsItself) {
    plait::register_exception<parse_error>();
    process_pool pool{{.workers = 1}};
    try {
        pool.submit([] { throw parse_error{"unexpected }", 17}; }).get();
        FAIL();
    } catch (const parse_error& e) {
        EXPECT_STREQ(e.what(), "unexpected }");
        EXPECT_EQ(e.line(), 17);
    }
    EXPECT_THROW(pool.submit([] { throw derived_parse_error{"d", 1}; }).get(), remote_error);
}

void throw_inner_loss() {
    process_pool inner{{.workers = 1}};
    inner.submit(process_tasks::die_by, SIGKILL).get();
}

TEST(RemoteError, P23_ATaskMayHaveAPoolOfItsOwn) {
    process_pool pool{{.workers = 1}};
    try {
        pool.submit(throw_inner_loss).get();
        FAIL();
    } catch (const plait::worker_lost& e) {
        EXPECT_EQ(e.signal(), SIGKILL);
    }
}

} // namespace
