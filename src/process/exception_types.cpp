// SPDX-License-Identifier: Apache-2.0
#include "process/exception_types.hpp"

#include "process/worker_lost_codec.hpp"

#include <plait/errors.hpp>
#include <plait/remote_error.hpp>

#include <any>
#include <array>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

namespace plait::detail {
namespace {

// A category that does not exist here: its name is all that is known. Kept for ever, as error codes refer to
// it.
class foreign_category final : public std::error_category {
  public:
    explicit foreign_category(std::string name) : name_{std::move(name)} {}
    const char* name() const noexcept override { return name_.c_str(); }
    std::string message(int code) const override { return name_ + " error " + std::to_string(code); }

  private:
    std::string name_;
};

const std::error_category& category_by_name(const std::string& name) {
    const std::error_category* const known[] = {&std::generic_category(), &std::system_category(),
                                                &std::iostream_category(), &std::future_category()};
    for (const std::error_category* category : known)
        if (name == category->name()) return *category;
    static std::mutex lock;
    static std::vector<std::unique_ptr<foreign_category>> foreign;
    const std::lock_guard guard{lock};
    for (const std::unique_ptr<foreign_category>& category : foreign)
        if (name == category->name()) return *category;
    return *foreign.emplace_back(std::make_unique<foreign_category>(name));
}

// libstdc++ makes what() of "text: message of the code": what was given is the part before.
std::string without_message(std::string what, const std::error_code& code) {
    const std::string suffix = ": " + code.message();
    if (what.ends_with(suffix)) what.erase(what.size() - suffix.size());
    return what;
}

template <class Exception>
[[noreturn]] void raise(Exception&& error, const std::exception_ptr& cause) {
    if (!cause) throw std::forward<Exception>(error);
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        std::throw_with_nested(std::forward<Exception>(error));
    }
}

template <class Exception>
bool is_exactly(const std::exception& e) noexcept {
    return typeid(e) == typeid(Exception) || typeid(e) == typeid(std::_Nested_exception<Exception>);
}

// Its text cannot be given to bad_variant_access, whose constructor for that is private: the library says one
// of few, each of which can be brought about.
std::bad_variant_access variant_access_saying(const std::string& text) {
    struct refuses {
        refuses() = default;
        explicit refuses(int) { throw std::exception{}; }
        refuses(const refuses&) {} // not trivial: else it would never become valueless
    };
    std::variant<refuses, int> valueless;
    try {
        valueless.emplace<0>(1);
    } catch (const std::exception&) {
        // as it should
    }
    const std::variant<int, long> other{1};
    const auto ignore = [](const auto&) {};
    for (int way = 0; way < 3; ++way) {
        try {
            if (way == 0)
                static_cast<void>(std::get<1>(other));
            else if (way == 1)
                static_cast<void>(std::get<1>(valueless));
            else
                std::visit(ignore, valueless);
        } catch (const std::bad_variant_access& e) {
            if (text == e.what()) return e;
        }
    }
    return {};
}

} // namespace

// One row per type: is it that, take it apart, put it together.
struct exception_table {
    using self = standard_exception;
    struct row {
        bool (*is)(const std::exception&) noexcept;
        void (*take)(self&, const std::exception&);
        void (*rebuild)(const self&, const std::exception_ptr& cause);
    };

    template <class Exception>
    static constexpr row with_text{
        &is_exactly<Exception>, [](self&, const std::exception&) {},
        [](const self& s, const std::exception_ptr& cause) { raise(Exception{s.text_}, cause); }};

    template <class Exception>
    static constexpr row plain{
        &is_exactly<Exception>, [](self&, const std::exception&) {},
        [](const self&, const std::exception_ptr& cause) { raise(Exception{}, cause); }};

    static void take_code(self& s, const std::error_code& code) {
        s.category_ = code.category().name();
        s.code_ = code.value();
    }
    static std::error_code code_of(const self& s) {
        return {static_cast<int>(s.code_), category_by_name(s.category_)};
    }

    // The exact text even where a category's messages differ here: it lies in the base, which can be
    // assigned.
    template <class Base, class Exception>
    static Exception with_what(Exception error, const std::string& what) {
        if (what != error.what()) static_cast<Base&>(error) = Base{what};
        return error;
    }

    static constexpr row system_error{
        &is_exactly<std::system_error>,
        [](self& s, const std::exception& e) {
            take_code(s, static_cast<const std::system_error&>(e).code());
        },
        [](const self& s, const std::exception_ptr& cause) {
            const std::error_code code = code_of(s);
            raise(with_what<std::runtime_error>(std::system_error{code, without_message(s.text_, code)},
                                                s.text_),
                  cause);
        }};
    static constexpr row ios_failure{
        &is_exactly<std::ios_base::failure>,
        [](self& s, const std::exception& e) {
            take_code(s, static_cast<const std::ios_base::failure&>(e).code());
        },
        [](const self& s, const std::exception_ptr& cause) {
            const std::error_code code = code_of(s);
            raise(with_what<std::runtime_error>(std::ios_base::failure{without_message(s.text_, code), code},
                                                s.text_),
                  cause);
        }};
    static constexpr row filesystem_error{
        &is_exactly<std::filesystem::filesystem_error>,
        [](self& s, const std::exception& e) {
            const auto& error = static_cast<const std::filesystem::filesystem_error&>(e);
            take_code(s, error.code());
            s.text_ = without_message(error.std::system_error::what(), error.code());
            s.paths_[0] = error.path1().native();
            s.paths_[1] = error.path2().native();
            // How many paths it was made with shows in its text alone.
            const std::string_view what = e.what();
            const std::string one = " [" + error.path1().string() + "]";
            s.numbers_[0] = what.ends_with(one + " [" + error.path2().string() + "]") ? 2
                            : what.ends_with(one)                                     ? 1
                                                                                      : 0;
        },
        [](const self& s, const std::exception_ptr& cause) {
            if (s.numbers_[0] == 0) raise(std::filesystem::filesystem_error{s.text_, code_of(s)}, cause);
            if (s.numbers_[0] == 1)
                raise(std::filesystem::filesystem_error{s.text_, s.paths_[0], code_of(s)}, cause);
            raise(std::filesystem::filesystem_error{s.text_, s.paths_[0], s.paths_[1], code_of(s)}, cause);
        }};
    static constexpr row future_error{
        &is_exactly<std::future_error>,
        [](self& s, const std::exception& e) {
            take_code(s, static_cast<const std::future_error&>(e).code());
        },
        [](const self& s, const std::exception_ptr& cause) {
            raise(with_what<std::logic_error>(std::future_error{static_cast<std::future_errc>(s.code_)},
                                              s.text_),
                  cause);
        }};
    static constexpr row regex_error{
        &is_exactly<std::regex_error>,
        [](self& s, const std::exception& e) {
            s.code_ = static_cast<std::int64_t>(static_cast<const std::regex_error&>(e).code());
        },
        [](const self& s, const std::exception_ptr& cause) {
            const auto code = static_cast<std::regex_constants::error_type>(s.code_);
            raise(with_what<std::runtime_error>(std::regex_error{code}, s.text_), cause);
        }};
    static constexpr row variant_access{
        &is_exactly<std::bad_variant_access>, [](self&, const std::exception&) {},
        [](const self& s, const std::exception_ptr& cause) { raise(variant_access_saying(s.text_), cause); }};
    static constexpr row interrupted_error{
        &is_exactly<interrupted>, [](self&, const std::exception&) {},
        [](const self&, const std::exception_ptr& cause) { raise(interrupted{}, cause); }};
    // From a pool that the task itself has made: kept as what it is, with where it happened.
    static constexpr row remote{
        &is_exactly<remote_error>,
        [](self& s, const std::exception& e) {
            const auto& error = static_cast<const remote_error&>(e);
            s.paths_[0] = error.type();
            s.paths_[1] = error.function();
            s.numbers_[0] = error.pid();
            s.numbers_[1] = error.worker();
            s.numbers_[2] = static_cast<std::int64_t>(error.task());
        },
        [](const self& s, const std::exception_ptr& cause) {
            raise(remote_error{{s.paths_[0], s.text_, s.paths_[1], static_cast<int>(s.numbers_[0]),
                                static_cast<unsigned>(s.numbers_[1]),
                                static_cast<std::uint64_t>(s.numbers_[2])}},
                  cause);
        }};
    static constexpr row lost{&is_exactly<worker_lost>,
                              [](self& s, const std::exception& e) {
                                  buffer_writer out{s.more_};
                                  write_details(out, static_cast<const worker_lost&>(e).all());
                                  out.finish();
                              },
                              [](const self& s, const std::exception_ptr& cause) {
                                  memory_reader in{s.more_.data(), s.more_.size()};
                                  raise(with_what<std::runtime_error>(worker_lost{read_details(in)}, s.text_),
                                        cause);
                              }};

    static constexpr std::array rows{with_text<std::runtime_error>,
                                     with_text<std::logic_error>,
                                     with_text<std::invalid_argument>,
                                     with_text<std::domain_error>,
                                     with_text<std::length_error>,
                                     with_text<std::out_of_range>,
                                     with_text<std::range_error>,
                                     with_text<std::overflow_error>,
                                     with_text<std::underflow_error>,
                                     with_text<timeout_error>,
                                     with_text<shutdown_error>,
                                     with_text<closed_error>,
                                     with_text<pool_broken>,
                                     plain<std::exception>,
                                     plain<std::bad_alloc>,
                                     plain<std::bad_array_new_length>,
                                     plain<std::bad_cast>,
                                     plain<std::bad_any_cast>,
                                     plain<std::bad_typeid>,
                                     plain<std::bad_exception>,
                                     plain<std::bad_function_call>,
                                     plain<std::bad_weak_ptr>,
                                     plain<std::bad_optional_access>,
                                     variant_access,
                                     system_error,
                                     ios_failure,
                                     filesystem_error,
                                     future_error,
                                     regex_error,
                                     interrupted_error,
                                     remote,
                                     lost};
};

bool standard_exception::from(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        for (std::size_t i = 0; i < exception_table::rows.size(); ++i) {
            if (!exception_table::rows[i].is(e)) continue;
            type_ = static_cast<std::uint8_t>(i);
            text_ = e.what();
            exception_table::rows[i].take(*this, e);
            return true;
        }
    } catch (...) {
        // no std::exception
    }
    return false;
}

void standard_exception::write(byte_writer& out) const {
    out.put(type_);
    write_text(out, text_);
    write_text(out, category_);
    out.put(code_);
    write_text(out, paths_[0]);
    write_text(out, paths_[1]);
    out.put(numbers_);
    out.put(std::uint64_t{more_.size()});
    out.write(more_.data(), more_.size());
}

void standard_exception::read(byte_reader& in) {
    type_ = in.take<std::uint8_t>();
    text_ = read_text(in);
    category_ = read_text(in);
    code_ = in.take<std::int64_t>();
    paths_[0] = read_text(in);
    paths_[1] = read_text(in);
    in.read(numbers_, sizeof(numbers_));
    const auto more = in.take<std::uint64_t>();
    in.expect(more, 1);
    in.read(more_.extend(static_cast<std::size_t>(more)), static_cast<std::size_t>(more));
    more_.commit(static_cast<std::size_t>(more));
}

std::exception_ptr standard_exception::rebuild(const std::exception_ptr& cause) const {
    try {
        if (type_ < exception_table::rows.size()) exception_table::rows[type_].rebuild(*this, cause);
        raise(std::runtime_error{text_}, cause);
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace plait::detail
