// SPDX-License-Identifier: Apache-2.0
// The model's memory: which store a load may find, and what is seen with it. See view.
#include "testing/execution.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>

namespace plait::testing::model {

namespace {

bool acquires(int order) noexcept {
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST ||
           order == __ATOMIC_CONSUME;
}
bool releases(int order) noexcept {
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

const char* text_of(int order) noexcept {
    switch (order) {
    case __ATOMIC_RELAXED:
        return "relaxed";
    case __ATOMIC_CONSUME:
    case __ATOMIC_ACQUIRE:
        return "acquire";
    case __ATOMIC_RELEASE:
        return "release";
    case __ATOMIC_ACQ_REL:
        return "acq_rel";
    default:
        return "seq_cst";
    }
}

constexpr std::array<const char*, 6> change_names{"exchange", "fetch_add", "fetch_sub",
                                                  "fetch_or", "fetch_and", "fetch_xor"};

// A thread may find the same old value so many times in a row; then it finds a newer one. C++ says "in a finite time".
constexpr std::uint32_t most_repeats = 1;

step on(step_kind kind, const location& l, bool writes, const site& where) {
    return {kind, l.address, nullptr, writes, false, false, nullptr, -1, where};
}

} // namespace

location& execution::place_of(const word& w, location*& place, std::uint32_t& run) {
    if (run == run_id_) return *place;
    if (locations_used_ == locations_.size()) locations_.emplace_back();
    location& l = locations_[locations_used_];
    l.begin(w, static_cast<std::uint32_t>(locations_used_++));
    place = &l;
    run = run_id_;
    return l;
}

void execution::touch(location& l, const step& s) {
    if (l.gone) fail(name_of(l.address) + " is used after its end", s.where);
    l.accessed[static_cast<std::size_t>(now_->id)] = now_->clock;
    mix(l.number);
}

void execution::forget(location& l, const site& where) {
    l.gone = true;
    forget_waited(l.address, "an atomic");
    for (std::size_t i = 0; i < threads_used_; ++i)
        if (static_cast<int>(i) != now_->id && now_->has_seen[static_cast<std::uint32_t>(i)] < l.accessed[i])
            fail("'" + now_->name + "' destroys " + name_of(l.address) + ", which '" + threads_[i]->name +
                     "' has used, and nothing says that it has finished with it (no release and acquire "
                     "between the two)",
                 where);
}

void execution::forget_waited(const void* what, const char* kind) {
    for (std::size_t i = 0; i < threads_used_; ++i) {
        const thread& t = *threads_[i];
        if (t.finished || !t.next || &t == now_ || t.next->kind == step_kind::wake) continue;
        if (t.next->what == what)
            fail("'" + now_->name + "' destroys " + kind + " (" + name_of(what) + ") that '" + t.name +
                     "' is about to use",
                 t.next->where);
    }
}

// The oldest store that the present thread may find, given what it has seen.
std::uint32_t execution::oldest_visible(location& l, bool seq_cst) {
    std::uint32_t oldest = now_->has_seen[l.index()];
    if (seq_cst) oldest = std::max(oldest, l.ordered);
    const std::uint32_t newest = l.newest();
    if (now_->fresh_from != 0)
        for (std::uint32_t i = newest; i > oldest; --i)
            if (l.stores[i].step <= now_->fresh_from) {
                oldest = i;
                break;
            }
    const location::repeat& r = l.stale[static_cast<std::size_t>(now_->id)];
    if (r.times >= most_repeats && r.store >= oldest && r.store < newest) oldest = r.store + 1;
    return oldest;
}

// The present thread has found store `index`.
void execution::found(location& l, std::uint32_t index, int order) {
    thread& me = *now_;
    const store& s = l.stores[index];
    me.has_seen.raise(l.index(), index, memory_);
    if (acquires(order))
        me.has_seen.join(s.carried, memory_);
    else if (s.carried.size != 0)
        me.may_see.join(s.carried, memory_);
    if (order == __ATOMIC_SEQ_CST) l.ordered = std::max(l.ordered, index);
    location::repeat& r = l.stale[static_cast<std::size_t>(me.id)];
    if (index == l.newest())
        r = {};
    else if (r.times != 0 && r.store == index)
        ++r.times;
    else
        r = {index, 1};
    mix(index);
}

// `before`: what the store carries that this one replaces in one step, and hands on (a release sequence).
void execution::append(location& l, bits value, int order, const seen* before) {
    thread& me = *now_;
    if (value != l.stores.back().value) ++changes_;
    me.has_seen.raise(l.index(), l.newest() + 1, memory_);
    seen carried = releases(order) ? me.has_seen.snapshot(memory_) : me.releases;
    if (before && before->size != 0) {
        view both;
        both.join(carried, memory_);
        both.join(*before, memory_);
        carried = both.snapshot(memory_);
    }
    l.stores.push_back({value, carried, steps_, static_cast<std::uint8_t>(me.id)});
    if (order == __ATOMIC_SEQ_CST) l.ordered = l.newest();
    l.stale[static_cast<std::size_t>(me.id)] = {};
}

bits execution::load(const word&, location& l, int order, const site& where) {
    const bool seq_cst = order == __ATOMIC_SEQ_CST;
    // A seq_cst load says to later ones what it has found.
    const step s = on(step_kind::load, l, seq_cst, where);
    take_turn(s);
    touch(l, s);
    const std::uint32_t newest = l.newest();
    const std::uint32_t index = newest - choose_value(newest - oldest_visible(l, seq_cst) + 1);
    found(l, index, order);
    const bits value = l.stores[index].value;
    if (recording)
        done(s, name_of(l.address) + ".load(" + text_of(order) + ") is " + value_text(value, l.bytes) +
                    (index != newest
                         ? ", an old value: " + value_text(l.stores[newest].value, l.bytes) + " is there"
                         : ""));
    return value;
}

void execution::store_to(location& l, bits value, int order, const site& where) {
    const step s = on(step_kind::store, l, true, where);
    take_turn(s);
    touch(l, s);
    append(l, value, order, nullptr);
    if (recording)
        done(s, name_of(l.address) + ".store(" + value_text(value, l.bytes) + ", " + text_of(order) + ")");
}

bits execution::modify(location& l, change what, bits operand, int order, const site& where) {
    const step s = on(step_kind::modify, l, true, where);
    take_turn(s);
    touch(l, s);
    const std::uint32_t index = l.newest();
    found(l, index, order);
    const bits old = l.stores[index].value;
    const seen before = l.stores[index].carried;
    const bits value = changed_by(what, old, operand) & mask_of(l.bytes);
    append(l, value, order, &before);
    if (recording)
        done(s, name_of(l.address) + "." + change_names[static_cast<std::size_t>(what)] + "(" +
                    value_text(operand & mask_of(l.bytes), l.bytes) + ", " + text_of(order) + ") was " +
                    value_text(old, l.bytes));
    return old;
}

bool execution::compare_exchange(location& l, bits& expected, bits desired, int success, int failure,
                                 const site& where) {
    const step s = on(step_kind::compare_exchange, l, true, where);
    take_turn(s);
    touch(l, s);
    const std::uint32_t newest = l.newest();
    // It succeeds on the newest store alone; it fails on any other value that a load might find.
    std::array<std::uint32_t, 64> may{};
    unsigned n = 0;
    may[n++] = newest;
    const std::uint32_t oldest = oldest_visible(l, failure == __ATOMIC_SEQ_CST);
    for (std::uint32_t i = newest; i-- > oldest && n < may.size();)
        if (l.stores[i].value != expected) may[n++] = i;
    const std::uint32_t index = may[choose_value(n)];
    const bits old = l.stores[index].value;
    const bool done_it = old == expected;
    found(l, index, done_it ? success : failure);
    const bits wanted = expected;
    if (done_it) {
        const seen before = l.stores[index].carried;
        append(l, desired & mask_of(l.bytes), success, &before);
    } else {
        expected = old;
    }
    if (recording)
        done(s, name_of(l.address) + ".compare_exchange(" + value_text(wanted, l.bytes) + " -> " +
                    value_text(desired & mask_of(l.bytes), l.bytes) + ", " +
                    text_of(done_it ? success : failure) +
                    (done_it ? ") done"
                             : ") finds " + value_text(old, l.bytes) +
                                   (index != newest ? ", an old value" : "")));
    return done_it;
}

void execution::fence_of(thread& t, int order) {
    if (acquires(order)) {
        t.has_seen.join(t.may_see, memory_);
        t.may_see.clear();
    }
    if (order == __ATOMIC_SEQ_CST) {
        t.has_seen.join(fenced_, memory_);
        fenced_.join(t.has_seen, memory_);
    }
    if (releases(order)) t.releases = t.has_seen.snapshot(memory_);
}

void execution::fence(int order, const site& where) {
    step s{step_kind::fence, nullptr, nullptr, true, true, false, nullptr, -1, where};
    s.everything = order == __ATOMIC_SEQ_CST;
    s.what = now_;
    take_turn(s);
    fence_of(*now_, order);
    if (recording) done(s, std::string{"fence("} + text_of(order) + ")");
}

void execution::fence_everywhere(const site& where) {
    const step s{step_kind::fence, now_, nullptr, true, true, false, nullptr, -1, where};
    take_turn(s);
    fence_of(*now_, __ATOMIC_SEQ_CST); // before the others': they see what this one has
    for (std::size_t i = 0; i < threads_used_; ++i) fence_of(*threads_[i], __ATOMIC_SEQ_CST);
    fence_of(*now_, __ATOMIC_SEQ_CST); // after them: it sees what they have
    if (recording) done(s, "fence in every thread");
}

void execution::acquire(const void* published) {
    if (published) now_->has_seen.join(*static_cast<const seen*>(published), memory_);
}

const void* execution::publish() {
    const seen s = now_->has_seen.snapshot(memory_);
    static_assert(sizeof(seen) % sizeof(std::uint32_t) == 0 && alignof(seen) <= 8);
    std::uint32_t* at = memory_.take(sizeof(seen) / sizeof(std::uint32_t) + 1);
    if (reinterpret_cast<std::uintptr_t>(at) % alignof(seen) != 0) ++at;
    return ::new (static_cast<void*>(at)) seen{s};
}

void execution::label(const void* object, std::size_t size, const char* name) {
    if (recording) labels_.push_back({static_cast<const unsigned char*>(object), size, name});
}

std::string execution::name_of(const void* address, const char* otherwise) const {
    const auto* const at = static_cast<const unsigned char*>(address);
    const labelled* best = nullptr;
    for (const labelled& l : labels_)
        if (l.begin <= at && at < l.begin + l.size && (!best || l.size < best->size)) best = &l;
    if (best) {
        if (best->begin == at) return best->name;
        return best->name + "+" + std::to_string(at - best->begin);
    }
    for (std::size_t i = 0; i < locations_used_; ++i)
        if (locations_[i].address == address) return "word " + std::to_string(i + 1);
    return otherwise;
}

// Addresses differ from run to run: they are named by the order in which they come up.
std::string execution::value_text(bits value, unsigned bytes) {
    if (bytes == 8 && value >= 0x10000 && value < 0x0000'8000'0000'0000) {
        for (const labelled& l : labels_)
            if (reinterpret_cast<std::uintptr_t>(l.begin) == value) return "&" + l.name;
        for (std::size_t i = 0; i < pointers_.size(); ++i)
            if (pointers_[i] == value) return "#" + std::to_string(i + 1);
        pointers_.push_back(value);
        return "#" + std::to_string(pointers_.size());
    }
    if (bytes == 8 && static_cast<std::int64_t>(value) < 0 && static_cast<std::int64_t>(value) > -0x10000)
        return std::to_string(static_cast<std::int64_t>(value));
    std::array<char, 24> text{};
    const int n = std::snprintf(text.data(), text.size(), value < 0x10000 ? "%" PRIu64 : "0x%" PRIx64, value);
    return {text.data(), static_cast<std::size_t>(n)};
}

} // namespace plait::testing::model
