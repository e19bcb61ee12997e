// SPDX-License-Identifier: Apache-2.0
#include <plait/errors.hpp>

#include <string>

namespace plait {
namespace {

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

std::string summary(const std::vector<std::exception_ptr>& errors) {
    if (errors.size() == 1) return "a task of the group failed: " + text_of(errors.front());
    return std::to_string(errors.size()) +
           " tasks of the group failed; the first: " + text_of(errors.front());
}

} // namespace

error_group::error_group(std::vector<std::exception_ptr> errors)
    : std::runtime_error{summary(errors)}, errors_{std::move(errors)} {}
error_group::error_group(const error_group& other) = default;
error_group& error_group::operator=(const error_group& other) = default;
error_group::~error_group() = default;

std::span<const std::exception_ptr> error_group::errors() const noexcept { return errors_; }

interrupted::interrupted() : std::runtime_error{"interrupted by SIGINT"} {}

} // namespace plait
