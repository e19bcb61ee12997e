// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include <plait/detail/bytes.hpp>

namespace plait::detail {

void write_text(byte_writer& out, std::string_view text);
std::string read_text(byte_reader& in);

/// An exception of a type that every C++ program has, or of plait's own, taken apart and put together again:
/// the same dynamic type, the same what().
class standard_exception {
  public:
    /// False: its dynamic type is none of them (a class derived from one is not).
    bool from(const std::exception_ptr& error);
    void write(byte_writer& out) const;
    void read(byte_reader& in);
    /// With `cause` nested in it, unless that is null. What no longer can be rebuilt becomes a runtime_error.
    std::exception_ptr rebuild(const std::exception_ptr& cause) const;

  private:
    std::uint8_t type_ = 0; // its place in the table
    std::string text_;      // what(), or what it was made with
    std::string category_;  // of system_error and its kin
    std::int64_t code_ = 0;
    std::string paths_[2]; // of filesystem_error
    std::int64_t numbers_[3] = {};
    byte_buffer more_; // of worker_lost
    friend struct exception_table;
};

} // namespace plait::detail
