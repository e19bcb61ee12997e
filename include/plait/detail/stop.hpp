// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/context.hpp>

namespace plait::detail {

/// A user's callback in a scope's list. Called once, without a lock, by whoever stops the scope; its removal
/// waits only while another thread is inside it.
class [[gnu::visibility("default")]] stop_callback_node {
  public:
    using function = void(stop_callback_node&) noexcept;

    explicit stop_callback_node(function* f) noexcept : call_{f} {}
    stop_callback_node(const stop_callback_node&) = delete;
    stop_callback_node& operator=(const stop_callback_node&) = delete;

    /// Links it in; calls it here and now if the scope is stopped already.
    void add_to(context& scope) noexcept;
    /// Takes it out; afterwards it is not running, except on the calling thread.
    void remove() noexcept;

  private:
    friend class context;
    static void run_all(context& scope) noexcept;

    function* call_;
    context* scope_ = nullptr; // null: never linked
    stop_callback_node* previous_ = nullptr;
    stop_callback_node* next_ = nullptr;
    atomic<std::uint32_t> phase_{0}; // 0 linked, 1 running, 2 done
    execution* runner_ = nullptr;    // the thread that runs it; its own thread may remove it meanwhile
    bool* removed_ = nullptr;        // set by a removal from inside the callback
};

} // namespace plait::detail
