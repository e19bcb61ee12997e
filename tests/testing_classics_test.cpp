// SPDX-License-Identifier: Apache-2.0
// The explorer does not cry wolf, and it sees: ten algorithms of the textbooks pass, and each one's broken twin fails.
#include <plait/testing_explore.hpp>

#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <cstdio>
#include <mutex>

using namespace plait::testing;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

namespace {

enum class twin : bool { right, broken };

template <class Test>
void both(const char* name, Test test, int preemptions = exploration_options::every_schedule) {
    const exploration right = explore({.name = name, .preemptions = preemptions}, [&] { test(twin::right); });
    std::printf("classic: %s\n", right.summary().c_str());
    EXPECT_TRUE(right) << right.story();
    EXPECT_TRUE(right.complete());
    const exploration broken = explore({.name = std::string{name} + ", broken", .preemptions = preemptions},
                                       [&] { test(twin::broken); });
    std::printf("classic: %s\n", broken.summary().c_str());
    EXPECT_FALSE(broken) << name << ": the broken twin passes";
}

// Two threads, each once in a section in which they must not meet.
template <class Lock>
void exclude(Lock& lock) {
    plain<int> inside{0};
    const auto once = [&](int me) {
        lock.lock(me);
        inside = inside + 1;
        lock.unlock(me);
    };
    thread one{[&] { once(1); }};
    once(0);
    one.join();
    check(inside == 2);
}

struct peterson {
    explicit peterson(twin t)
        : store{t == twin::right ? memory_order_seq_cst : memory_order_release},
          load{t == twin::right ? memory_order_seq_cst : memory_order_acquire} {}
    void lock(int me) {
        const auto i = static_cast<std::size_t>(me);
        wants[i].store(true, store);
        turn.store(1 - me, store);
        while (wants[1 - i].load(load) && turn.load(load) == 1 - me) yield();
    }
    void unlock(int me) { wants[static_cast<std::size_t>(me)].store(false, memory_order_release); }
    std::array<atomic<bool>, 2> wants;
    atomic<int> turn{0};
    std::memory_order store, load;
};

TEST(Classic, Peterson) {
    both("Peterson's lock", [](twin t) {
        peterson lock{t};
        exclude(lock);
    });
}

struct dekker {
    explicit dekker(twin t) : load{t == twin::right ? memory_order_seq_cst : memory_order_relaxed} {}
    void lock(int me) {
        const auto i = static_cast<std::size_t>(me);
        wants[i].store(true);
        while (wants[1 - i].load(load)) {
            if (turn.load() != me) {
                wants[i].store(false);
                while (turn.load() != me) yield();
                wants[i].store(true);
            } else {
                yield();
            }
        }
    }
    void unlock(int me) {
        turn.store(1 - me);
        wants[static_cast<std::size_t>(me)].store(false);
    }
    std::array<atomic<bool>, 2> wants;
    atomic<int> turn{0};
    std::memory_order load;
};

TEST(Classic, Dekker) {
    both(
        "Dekker's lock",
        [](twin t) {
            dekker lock{t};
            exclude(lock);
        },
        4);
}

struct ticket_lock {
    explicit ticket_lock(twin t) : order{t == twin::right ? memory_order_release : memory_order_relaxed} {}
    void lock(int) {
        const int mine = next.fetch_add(1, memory_order_relaxed);
        while (serving.load(memory_order_acquire) != mine) yield();
    }
    void unlock(int) { serving.store(serving.load(memory_order_relaxed) + 1, order); }
    atomic<int> next{0};
    atomic<int> serving{0};
    std::memory_order order;
};

TEST(Classic, TicketLock) {
    both("ticket lock", [](twin t) {
        ticket_lock lock{t};
        exclude(lock);
    });
}

// Nodes by number, so that the word has room for a tag; 0 is none.
struct treiber_stack {
    explicit treiber_stack(twin t) : tag{t == twin::right ? 0x100U : 0U} {}
    void push(unsigned node) {
        unsigned head = top.load(memory_order_relaxed);
        do next[node].store(head & 0xff, memory_order_relaxed);
        while (!top.compare_exchange_strong(head, node | ((head & ~0xffU) + tag), memory_order_release,
                                            memory_order_relaxed));
    }
    unsigned pop() {
        unsigned head = top.load(memory_order_acquire);
        while ((head & 0xff) != 0) {
            const unsigned after = next[head & 0xff].load(memory_order_relaxed);
            if (top.compare_exchange_strong(head, after | ((head & ~0xffU) + tag), memory_order_acquire,
                                            memory_order_acquire))
                break;
        }
        return head & 0xff;
    }
    std::array<atomic<unsigned>, 4> next;
    atomic<unsigned> top{0};
    unsigned tag; // without it a top that has gone and come back looks as if nothing had happened
};

TEST(Classic, TreiberStackWithTags) {
    both(
        "Treiber's stack",
        [](twin t) {
            treiber_stack stack{t};
            stack.push(1);
            stack.push(2);
            std::array<int, 4> taken{};
            thread one{[&] { ++taken[stack.pop()]; }};
            const unsigned first = stack.pop();
            ++taken[stack.pop()];
            if (first != 0) stack.push(first);
            one.join();
            while (const unsigned node = stack.pop()) ++taken[node];
            check(taken[1] <= 1 && taken[2] <= 1, "popped twice");
        },
        3);
}

struct seqlock {
    explicit seqlock(twin t) : looks_again{t == twin::right} {}
    void write(int value) {
        const unsigned s = sequence.load(memory_order_relaxed);
        sequence.store(s + 1, memory_order_relaxed);
        plait::testing::atomic_thread_fence(memory_order_release);
        for (atomic<int>& word : words) word.store(value, memory_order_relaxed);
        sequence.store(s + 2, memory_order_release);
    }
    bool read(std::array<int, 2>& into) {
        const unsigned before = sequence.load(memory_order_acquire);
        if (before % 2 != 0) return false;
        for (std::size_t i = 0; i < 2; ++i) into[i] = words[i].load(memory_order_relaxed);
        if (looks_again) plait::testing::atomic_thread_fence(memory_order_acquire);
        return sequence.load(memory_order_relaxed) == before;
    }
    atomic<unsigned> sequence{0};
    std::array<atomic<int>, 2> words;
    bool looks_again; // without the fence the second look may come before the words
};

TEST(Classic, Seqlock) {
    both("seqlock", [](twin t) {
        seqlock lock{t};
        thread writer{[&] { lock.write(1); }};
        std::array<int, 2> seen{};
        if (lock.read(seen)) check(seen[0] == seen[1], "half of a value");
        writer.join();
    });
}

// Vyukov's: producers swap themselves in at the tail and then link; the consumer follows the links.
struct mpsc_queue {
    struct node {
        atomic<node*> next{nullptr};
        plain<int> value{0};
    };
    explicit mpsc_queue(twin t) : link{t == twin::right ? memory_order_release : memory_order_relaxed} {}
    void push(node& n, int value) {
        n.value = value;
        node* const before = tail.exchange(&n, memory_order_acq_rel);
        before->next.store(&n, link);
    }
    node* pop() {
        node* const n = head->next.load(memory_order_acquire);
        if (n) head = n;
        return n;
    }
    node stub;
    node* head = &stub; // the consumer's
    atomic<node*> tail{&stub};
    std::memory_order link;
};

TEST(Classic, MpscQueue) {
    both("MPSC queue", [](twin t) {
        std::array<mpsc_queue::node, 2> nodes;
        mpsc_queue queue{t};
        thread one{[&] { queue.push(nodes[0], 1); }};
        thread two{[&] { queue.push(nodes[1], 2); }};
        int sum = 0;
        for (int n = 0; n < 2;) {
            if (mpsc_queue::node* const node = queue.pop()) {
                sum += node->value;
                ++n;
            } else {
                yield();
            }
        }
        one.join();
        two.join();
        check(sum == 3 && !queue.pop());
    });
}

TEST(Classic, DoubleCheckedInitialisation) {
    both("double-checked initialisation", [](twin t) {
        const std::memory_order publish = t == twin::right ? memory_order_release : memory_order_relaxed;
        mutex m;
        atomic<bool> made{false};
        plain<int> value{0};
        const auto get = [&] {
            if (!made.load(memory_order_acquire)) {
                const std::lock_guard guard{m};
                if (!made.load(memory_order_relaxed)) {
                    value = 42;
                    made.store(true, publish);
                }
            }
            check(value == 42);
        };
        thread one{get};
        get();
        one.join();
    });
}

TEST(Classic, ReadCopyUpdate) {
    both("read-copy-update", [](twin t) {
        struct version {
            plain<int> value{0};
            atomic<bool> alive{true};
        };
        std::array<version, 2> versions;
        versions[0].value = 1;
        atomic<version*> current{&versions[0]};
        atomic<int> readers{0};
        thread reader{[&] {
            // Broken: whoever looks for readers may have looked before this one says that it is here.
            if (t == twin::right) readers.fetch_add(1);
            version* const v = current.load();
            if (t == twin::broken) readers.fetch_add(1);
            const int seen = v->value;
            check(seen == 1 || seen == 2, "read after it was given back");
            readers.fetch_sub(1);
        }};
        versions[1].value = 2;
        version* const old = current.exchange(&versions[1]);
        while (readers.load() != 0) yield();
        old->value = -1; // given back
        reader.join();
    });
}

TEST(Classic, BoundedBuffer) {
    both(
        "bounded buffer",
        [](twin t) {
            mutex m;
            condition_variable changed;
            int items = 0;
            const auto take = [&] {
                std::unique_lock lock{m};
                if (t == twin::right)
                    while (items == 0) changed.wait(lock);
                else if (items == 0)
                    changed.wait(lock); // woken is not served: another one may have been quicker
                check(items > 0, "took what is not there");
                --items;
                changed.notify_all();
            };
            const auto put = [&] {
                std::unique_lock lock{m};
                while (items == 1) changed.wait(lock);
                ++items;
                changed.notify_all();
            };
            thread one{take};
            thread two{take};
            put();
            put();
            one.join();
            two.join();
        },
        3);
}

TEST(Classic, Rendezvous) {
    both("rendezvous", [](twin t) {
        mutex m;
        condition_variable all_here;
        int here = 0;
        const auto meet = [&] {
            if (t == twin::right) {
                std::unique_lock lock{m};
                if (++here == 2)
                    all_here.notify_all();
                else
                    while (here < 2) all_here.wait(lock);
                return;
            }
            bool last = false;
            {
                const std::lock_guard guard{m};
                last = ++here == 2;
            }
            if (last) {
                all_here.notify_all(); // the other one may not sleep yet, and will not look again
            } else {
                std::unique_lock lock{m};
                all_here.wait(lock);
            }
        };
        thread one{meet};
        meet();
        one.join();
    });
}

} // namespace
