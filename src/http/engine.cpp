// SPDX-License-Identifier: Apache-2.0
#include "http/engine.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "sys/errors.hpp"

namespace plait::http::detail {
namespace {

constexpr std::uint8_t in = CURL_POLL_IN;
constexpr std::uint8_t out = CURL_POLL_OUT;

/// libcurl's own state machine is asked again about a transfer that has been silent for this long: the way
/// out should an edge have been lost after all.
constexpr auto second_look = std::chrono::seconds(1);

void initialise_curl() {
    static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (!ready) throw std::bad_alloc();
}

std::string seconds_text(clock::duration d) {
    const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(d).count() / 100;
    return std::to_string(tenths / 10) + (tenths % 10 != 0 ? '.' + std::to_string(tenths % 10) : "") + " s";
}

} // namespace

engine::engine(settings common) : common_(std::move(common)) {
    initialise_curl();
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) plait::detail::throw_errno("http: cannot make an epoll descriptor");
    multi_ = curl_multi_init();
    if (multi_ == nullptr) throw std::bad_alloc();
    (void)curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
    (void)curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    (void)curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
    (void)curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    (void)curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS,
                            static_cast<long>(std::max<std::size_t>(common_.kept, 1)));
    (void)curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(common_.most));
    now_ = clock::now();
}

engine::~engine() {
    for (transfer* t : active_) (void)curl_multi_remove_handle(multi_, t->curl_.get());
    active_.clear();
    // The multi handle closes the kept connections through on_close, so sockets_ must still be there; the
    // easy handles go first, since they point into it.
    all_.clear();
    curl_multi_cleanup(multi_);
}

transfer& engine::acquire() {
    if (idle_.empty()) {
        // Each transfer stands in each list once at most: nothing that follows has to be refused a place.
        for (std::vector<transfer*>* const list : {&idle_, &active_, &finished_, &held_})
            list->reserve(all_.size() + 1);
        all_.push_back(std::make_unique<transfer>(*this));
        return *all_.back();
    }
    transfer& t = *idle_.back();
    idle_.pop_back();
    return t;
}

void engine::start(exchange& x) {
    transfer& t = acquire();
    x.wire = &t;
    begin(t, x);
}

void engine::begin(transfer& t, exchange& x) {
    now_ = clock::now();
    t.prepare(x, now_);
    t.index_ = active_.size();
    active_.push_back(&t);
    t.active_ = true;
    next_check_ = std::min(next_check_, due(t));
    const CURLMcode code = curl_multi_add_handle(multi_, t.curl_.get());
    if (code != CURLM_OK) abort(t, cause::connect, curl_multi_strerror(code));
}

void engine::leave(transfer& t) noexcept {
    (void)curl_multi_remove_handle(multi_, t.curl_.get());
    active_[t.index_] = active_.back();
    active_[t.index_]->index_ = t.index_;
    active_.pop_back();
    t.active_ = false;
    if (active_.empty()) next_check_ = clock::time_point::max();
}

void engine::stop(exchange& x) noexcept {
    transfer* const t = std::exchange(x.wire, nullptr);
    if (t == nullptr) return;
    if (t->active_) leave(*t);
    std::erase(finished_, t);
    std::erase(held_, t);
    idle_.push_back(t); // acquire() has made room for it
}

void engine::go_on(exchange& x) {
    transfer* const t = x.wire;
    x.held = false;
    if (t == nullptr || !t->active_) return;
    t->last_byte_ = clock::now(); // its silence was ours
    next_check_ = std::min(next_check_, due(*t));
    if (t->socket_ == CURL_SOCKET_BAD) return;
    socket_state& state = state_of(t->socket_);
    if (state.user == t) enqueue(t->socket_, state);
}

void engine::abort(transfer& t, cause why, std::string text) {
    if (!t.connected_) t.exchange_->result.where = phase::connecting;
    t.fail(why, std::move(text));
    leave(t);
    finished_.push_back(&t);
}

clock::time_point engine::deadline() const noexcept {
    if (!todo_.empty() || !finished_.empty()) return clock::time_point::min();
    return std::min(timer_, next_check_);
}

// What libcurl tells
// ---------------------------------------------------------------------------------------------

int engine::on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* /*unused*/) {
    char* user = nullptr;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    static_cast<engine*>(self)->want(fd, what, reinterpret_cast<transfer*>(user));
    return 0;
}

int engine::on_timer(CURLM* /*multi*/, long milliseconds, void* self) {
    auto& me = *static_cast<engine*>(self);
    me.timer_ =
        milliseconds < 0 ? clock::time_point::max() : me.now_ + std::chrono::milliseconds(milliseconds);
    return 0;
}

int engine::on_close(void* self, curl_socket_t fd) {
    static_cast<engine*>(self)->forget(fd);
    return ::close(fd);
}

engine::socket_state& engine::state_of(curl_socket_t fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= sockets_.size()) {
        // Each socket stands in them once at most: libcurl's callbacks find room.
        todo_.reserve(index + 16);
        doing_.reserve(index + 16);
        sockets_.resize(index + 16);
    }
    return sockets_[index];
}

void engine::adopt(curl_socket_t fd) {
    socket_state& state = state_of(fd);
    const bool queued = state.queued;
    state = {};
    state.queued = queued; // the number may still stand in todo_
    state.ours = true;
    names_.add(fd);
}

void engine::want(curl_socket_t fd, int what, transfer* user) {
    socket_state& state = state_of(fd);
    if (what == CURL_POLL_REMOVE) {
        state.wants = 0;
        state.user = nullptr;
        if (state.ours) {
            if (!state.hung_up) state.ready = 0;
        } else {
            forget(fd);
        }
        return;
    }
    state.wants = static_cast<std::uint8_t>(what);
    state.user = user;
    if (user != nullptr) user->socket_ = fd;
    if (!state.registered) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.fd = fd;
        state.registered = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST;
        if (!state.registered && user != nullptr) { // nothing will ever be heard of it
            user->socket_error_ = errno;
            next_check_ = clock::time_point::min();
        }
    }
    enqueue(fd, state);
}

void engine::enqueue(curl_socket_t fd, socket_state& state) {
    if (state.queued || due_on(state) == 0) return;
    state.queued = true;
    todo_.push_back(fd);
}

unsigned engine::due_on(const socket_state& state) noexcept {
    const transfer* const t = state.user;
    const bool held = t != nullptr && t->active_ && t->exchange_->held;
    return state.ready & state.wants & (held ? out : in | out);
}

void engine::forget(curl_socket_t fd) noexcept {
    socket_state& state = state_of(fd);
    if (state.registered) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    if (state.ours) names_.remove(fd);
    const bool queued = state.queued;
    state = {};
    state.queued = queued;
}

/// Whether an answer lies in the connection that a request is about to go out on. It would be taken for the
/// answer to the next request. Not for TLS: there session tickets may arrive at any time, and a record cannot
/// be forged.
bool engine::bytes_are_waiting(const char* peer, int peer_port, const char* local, int local_port) {
    const int fd = names_.find(peer, peer_port, local, local_port);
    char byte = 0;
    return fd >= 0 && ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Work
// -----------------------------------------------------------------------------------------------------------

void engine::work(int wait_ms) {
    if (deadline() == clock::time_point::min()) wait_ms = 0;
    wait_for_events(wait_ms);
    now_ = clock::now();
    if (timer_ <= now_) run_timer();
    run_todo();
    if (next_check_ <= now_) check_deadlines();
    collect();
}

void engine::wait_for_events(int wait_ms) {
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        socket_state& state = state_of(event.data.fd);
        if ((event.events & EPOLLIN) != 0) state.ready |= in;
        if ((event.events & EPOLLOUT) != 0) state.ready |= out;
        if ((event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
            state.ready |= in | out;
            state.hung_up = true;
        }
        enqueue(event.data.fd, state);
    }
}

void engine::run_timer() {
    timer_ = clock::time_point::max();
    int running = 0;
    (void)curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
}

void engine::run_todo() {
    doing_.clear();
    doing_.swap(todo_);
    for (const curl_socket_t fd : doing_) {
        state_of(fd).queued = false;
        act(fd);
    }
}

void engine::act(curl_socket_t fd) {
    const unsigned bits = due_on(state_of(fd));
    if (bits == 0) return;
    transfer* const user = state_of(fd).user;
    const std::uint64_t before = user != nullptr ? user->progress_ : 0;
    state_of(fd).ready &= static_cast<std::uint8_t>(~out);
    int running = 0;
    const int mask = ((bits & in) != 0 ? CURL_CSELECT_IN : 0) | ((bits & out) != 0 ? CURL_CSELECT_OUT : 0);
    (void)curl_multi_socket_action(multi_, fd, mask, &running);

    socket_state& state = state_of(fd); // the table may have moved, and the socket be another by now
    if (state.hung_up) state.ready |= in | out;
    if (state.user != user || (state.wants & in) == 0) return;
    const bool moved = user != nullptr && user->progress_ != before;
    if ((bits & in) != 0 && !moved && !state.hung_up) state.ready &= static_cast<std::uint8_t>(~in);
    enqueue(fd, state);
}

void engine::collect() {
    int left = 0;
    while (CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode code = message->data.result;
        char* user = nullptr;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
        auto& t = *reinterpret_cast<transfer*>(user);
        try {
            t.finish(code);
        } catch (...) {
            t.caught();
        }
        leave(t);
        exchange& x = *t.exchange_;
        if (x.result.stale && !x.what.fresh) {
            x.what.fresh = true;
            begin(t, x);
            continue;
        }
        finished_.push_back(&t);
    }
    while (!held_.empty()) {
        const transfer& t = *held_.back();
        held_.pop_back();
        if (t.active_ && t.exchange_->held) t.exchange_->done(*t.exchange_);
    }
    while (!finished_.empty()) {
        transfer& t = *finished_.back();
        finished_.pop_back();
        exchange& x = *t.exchange_;
        x.wire = nullptr;
        x.over = true;
        idle_.push_back(&t);
        x.done(x);
    }
}

clock::time_point engine::due(const transfer& t) const noexcept {
    const auto later = [](clock::time_point from, clock::duration by) {
        return by > clock::time_point::max() - from ? clock::time_point::max() : from + by;
    };
    if (t.exchange_->held) return t.exchange_->what.deadline;
    const clock::time_point silent = t.connected_
                                         ? std::min(later(t.last_byte_, t.exchange_->what.stall_timeout),
                                                    later(std::max(now_, t.last_byte_), second_look))
                                         : t.connect_by_;
    return std::min(silent, t.exchange_->what.deadline);
}

void engine::check_deadlines() {
    next_check_ = clock::time_point::max();
    for (std::size_t i = active_.size(); i-- > 0;) {
        transfer& t = *active_[i];
        if (t.socket_error_ != 0) {
            t.exchange_->result.system_error = t.socket_error_;
            abort(t, cause::connect,
                  "cannot watch its socket: " + plait::detail::errno_text(t.socket_error_));
            continue;
        }
        if (t.exchange_->what.deadline <= now_)
            abort(t, cause::timeout, "not done within the time given");
        else if (!t.connected_ && t.connect_by_ <= now_)
            abort(t, cause::timeout,
                  "no connection within " + seconds_text(t.exchange_->what.connect_timeout));
        else if (t.connected_ && !t.exchange_->held && now_ - t.last_byte_ >= t.exchange_->what.stall_timeout)
            abort(t, cause::stall, "no byte for " + seconds_text(t.exchange_->what.stall_timeout));
        else
            next_check_ = std::min(next_check_, due(t));
    }
    for (std::size_t fd = 0; fd < sockets_.size(); ++fd) {
        socket_state& state = sockets_[fd];
        if (state.user == nullptr || !state.registered || now_ - state.user->last_byte_ < second_look)
            continue;
        state.ready |= state.wants & in;
        enqueue(static_cast<curl_socket_t>(fd), state);
    }
}

} // namespace plait::http::detail
