// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/sendable.hpp>

namespace plait {

/// May a value of type T go to another process? Deep: elements, members and alternatives are looked at.
///
/// Yes: arithmetic types and enums; strings, containers, optional, variant, tuple, pair, array, unique_ptr
/// and shared_ptr, chrono's durations and time points, filesystem::path, of what is sendable; plait's handles
/// (shared_array, pipe, process_channel, process_event, ...), by descriptor; aggregates of what is sendable;
/// and types that are serialised by cereal's conventions:
///
///     class account {
///         template <class Archive> void serialize(Archive& archive) { archive(owner_, balance_); }
///         friend class cereal::access;
///         std::string owner_;
///         double balance_ = 0;
///     };
///
/// No: what would mean something else in another process. Raw pointers, references, views (string_view,
/// span), reference_wrapper, locks, closures with captures, and classes that nobody can look into, unless
/// they are vouched for by plait::trivially_sendable.
template <class T>
concept sendable = detail::send_problem_of<T>() == detail::send_problem::none;

} // namespace plait

#include <plait/detail/archive.hpp>
#include <plait/detail/exception_registration.hpp>
