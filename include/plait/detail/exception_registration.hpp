// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/archive.hpp>
#include <plait/detail/exception_codec.hpp>
#include <plait/detail/send_check.hpp>
#include <typeinfo>

namespace plait {
namespace detail {

/// How T travels, one object per type: workers are told its place, so that it needs no registration of their
/// own.
template <class T>
struct registered_exception {
    static bool write(byte_writer& out, const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const T& e) {
            if constexpr (std::is_polymorphic_v<T> && !std::is_final_v<T>) {
                // The library's own type around it, if a cause is nested, counts as the same.
                if (typeid(e) != typeid(T) && typeid(e) != typeid(std::_Nested_exception<T>)) return false;
            }
            encode(out, e);
            return true;
        } catch (...) {
            return false;
        }
    }
    static std::exception_ptr read(byte_reader& in, const std::exception_ptr& cause) {
        T error = decode<T>(in);
        if (!cause) return std::make_exception_ptr(std::move(error));
        try {
            std::rethrow_exception(cause);
        } catch (...) {
            try {
                std::throw_with_nested(std::move(error));
            } catch (...) {
                return std::current_exception();
            }
        }
    }
    static inline const exception_codec codec{&write, &read};
};

} // namespace detail

/// From now on exceptions of exactly this type cross process borders as themselves. T must be sendable.
///
///     class parse_error : public std::runtime_error { ... template <class A> void serialize(A& a) {
///     a(line_); } }; plait::register_exception<parse_error>();        // before the pool is made
///
/// Workers that start later know it too.
template <class T>
void register_exception() {
    if constexpr (detail::send_check<detail::check_of_exception, detail::send_problem_of<T>()>::passed)
        detail::add_exception_codec(detail::registered_exception<T>::codec);
}

} // namespace plait
