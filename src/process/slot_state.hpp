// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <plait/detail/atomic.hpp>

#include <cstdint>

namespace plait::detail {

/// Where a slot of a lane stands. `docs/internals/processes.md` draws it.
enum class slot_phase : std::uint32_t {
    free = 0,  ///< the parent may fill it
    queued,    ///< arguments are there; either side may take it
    running,   ///< the worker holds it
    done,      ///< the result is there, to its last byte
    withdrawn, ///< the parent took it back before the worker came
    lost,      ///< held by a worker that has died
};

/// The slot's word: generation << 8 | phase. Two sides, one of which may be killed between any two
/// instructions.
///
/// Invariant: at any moment exactly one side owns the slot's contents, and the word alone says which. Every
/// arrow is one atomic operation that follows the last store to the contents, so a death leaves the word of
/// the last finished step:
///
///     free -> queued                      parent   publish()
///     queued -> running                   worker   claim(), before it decodes anything
///     queued -> withdrawn                 parent   withdraw()
///     running -> done                     worker   finish(), after the last byte of the result
///     done, withdrawn -> free (next)      parent   recycle(), once the worker's head is past the slot
///     running -> lost                     parent   bury(), once the worker's death is certain
template <class Policy>
class basic_slot_state {
  public:
    static constexpr std::uint32_t word(std::uint32_t generation, slot_phase phase) noexcept {
        return generation << 8 | static_cast<std::uint32_t>(phase);
    }

    /// acquire: whoever sees a phase sees the contents that came before it.
    slot_phase phase(std::uint32_t generation) const noexcept {
        const std::uint32_t now = word_.load(order::acquire);
        if (now >> 8 != (generation & generation_mask)) return slot_phase::free;
        return static_cast<slot_phase>(now & 0xff);
    }

    /// The phase when death or the hold protocol asks; seq_cst: pairs with finish(), see `lane_header::hold`.
    slot_phase phase_seq_cst(std::uint32_t generation) const noexcept {
        const std::uint32_t now = word_.load(order::seq_cst);
        if (now >> 8 != (generation & generation_mask)) return slot_phase::free;
        return static_cast<slot_phase>(now & 0xff);
    }

    /// seq_cst: pairs with the worker's look at this word after it has announced that it parks. Either it
    /// sees the task or we see it parked.
    void publish(std::uint32_t generation) noexcept {
        word_.store(word(generation, slot_phase::queued), order::seq_cst);
    }
    bool claim(std::uint32_t generation) noexcept {
        return step(generation, slot_phase::queued, slot_phase::running);
    }
    bool withdraw(std::uint32_t generation) noexcept {
        return step(generation, slot_phase::queued, slot_phase::withdrawn);
    }
    /// seq_cst, as a read-modify-write: pairs with the parent's parking (bell) and with `hold`.
    void finish(std::uint32_t generation) noexcept {
        word_.exchange(word(generation, slot_phase::done), order::seq_cst);
    }
    /// relaxed: the slot is the parent's, and only publish() gives it away again.
    void recycle(std::uint32_t generation) noexcept {
        word_.store(word(generation + 1, slot_phase::free), order::relaxed);
    }
    /// relaxed: nobody is left on the other side.
    void bury(std::uint32_t generation) noexcept {
        word_.store(word(generation, slot_phase::lost), order::relaxed);
    }

  private:
    static constexpr std::uint32_t generation_mask = 0xffffff;

    bool step(std::uint32_t generation, slot_phase from, slot_phase to) noexcept {
        std::uint32_t expected = word(generation, from);
        // seq_cst: a worker that has claimed rings if it needs the parent (for descriptors); pairs with the
        // parent's look at this word after it has announced its sleep, as in finish().
        return word_.compare_exchange(expected, word(generation, to), order::seq_cst, order::acquire);
    }

    typename Policy::template atomic<std::uint32_t> word_{0};
};

/// The parked flag of one waiter, which is at once the word that it sleeps on.
///
/// waiter: announce(); look again; sleep while the word is `parked`. waker: publish (seq_cst); if (take())
/// wake it. A flag beside a sequence word is not the same: a waker preempted between reading and clearing
/// such a flag clears the flag of the *next* sleep, and that sleeper is never woken.
template <class Policy>
class basic_park_word {
  public:
    static constexpr std::uint32_t awake = 0;
    static constexpr std::uint32_t parked = 1;

    /// seq_cst: pairs with take(). Either the waker sees us parked, or our second look sees what it
    /// published.
    void announce() noexcept { word_.store(parked, order::seq_cst); }
    /// relaxed: who overlooks it wakes in vain.
    void retract() noexcept { word_.store(awake, order::relaxed); }
    bool is_parked() const noexcept { return word_.load(order::seq_cst) == parked; }
    /// True: the caller has to wake the waiter, and nobody else will.
    bool take() noexcept { return is_parked() && word_.exchange(awake, order::seq_cst) == parked; }
    const std::uint32_t* address() const noexcept { return word_.address(); }

  private:
    typename Policy::template atomic<std::uint32_t> word_{awake};
};

/// Who on the parent's side is to be told of results, in one word: nobody, since whoever is awake there looks before it
/// sleeps; the supervisor, by its bell; or a thread that waits for one of the lane's tasks and sleeps on this very word.
///
/// As with basic_park_word: listen(); look again; sleep. The worker publishes (seq_cst), then asks take(). A listener may
/// name the slot from which on it wants to be told: what ends before is not worth a wake-up of its own. A worker that goes
/// to sleep makes up for what it has not told (take_any).
template <class Policy>
class basic_listener_word {
  public:
    enum class who : std::uint32_t { nobody = 0, bell = 1, thread = 2 };

    /// seq_cst: pairs with take(). Either the worker sees who listens, or our second look sees what it published.
    /// Returns what the word holds then, for a thread to sleep on.
    std::uint32_t listen(who listener) noexcept { return set(of(listener) | any); }
    /// The same, but not before the slot `from` is done.
    std::uint32_t listen_from(who listener, std::uint64_t from) noexcept {
        return set(of(listener) | place(from));
    }
    /// Awake: nobody need be told. A worker that has just taken the word wakes somebody once too often.
    void retract() noexcept { word_.store(0, order::relaxed); }

    /// By the worker, when the slot is done. Whoever is returned has to be woken, and nobody else will do it; `untold`
    /// says that somebody listens who does not want to know this yet.
    who take(std::uint64_t done, bool& untold) noexcept {
        const std::uint32_t now = word_.load(order::seq_cst);
        if (now == 0) {
            untold = false; // whoever is awake looks at all of them
            return who::nobody;
        }
        if ((now & any) == 0 && static_cast<std::int32_t>(place(done) - (now & ~std::uint32_t{7})) < 0) {
            untold = true;
            return who::nobody;
        }
        untold = false;
        return take_any();
    }
    who take_any() noexcept {
        if (word_.load(order::seq_cst) == 0) return who::nobody;
        return static_cast<who>(word_.exchange(0, order::seq_cst) & 3);
    }

    const std::uint32_t* address() const noexcept { return word_.address(); }

  private:
    std::uint32_t set(std::uint32_t to) noexcept {
        word_.store(to, order::seq_cst);
        return to;
    }
    static constexpr std::uint32_t any = 4;
    static constexpr std::uint32_t of(who listener) noexcept { return static_cast<std::uint32_t>(listener); }
    // Modulo: a lane has fewer slots than half of what fits, so the difference says which one is later.
    static constexpr std::uint32_t place(std::uint64_t index) noexcept {
        return static_cast<std::uint32_t>(index) << 3;
    }

    typename Policy::template atomic<std::uint32_t> word_{0};
};

using slot_state = basic_slot_state<system_policy>;
using park_word = basic_park_word<system_policy>;
using listener_word = basic_listener_word<system_policy>;

} // namespace plait::detail
