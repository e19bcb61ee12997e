// SPDX-License-Identifier: Apache-2.0
// limit: 240
// label: stress
// Random graphs, several at once on one pool, run again and again, failing and cancelled now and then: each node runs once
// a run and after those before it, or not at all, and a run that was cut short leaves the graph good for the next one.
#include "support/strands.hpp"

#include <plait/graph.hpp>

#include <random>
#include <thread>

namespace plait::test {
namespace {

constexpr int graphs = sanitized ? 1'500 : 2'000;
constexpr int runs = 12;

/// A graph whose nodes look at what those before them have left, without atomics: that is the graph's to order.
class checked_graph {
  public:
    checked_graph(thread_pool& pool, unsigned seed)
        : pool_{pool}, random_{seed}, nodes_(1 + random_() % 300) {
        std::vector<graph_node> made;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            std::vector<graph_node> before;
            for (std::size_t k = random_() % 4; k > 0 && i != 0; --k) {
                const std::size_t other = random_() % i;
                if (std::ranges::find(nodes_[i].before, other) != nodes_[i].before.end()) continue;
                nodes_[i].before.push_back(other);
                before.push_back(made[other]);
            }
            if (random_() % 8 == 0)
                made.push_back(graph_.after(before, [this, i]() -> task<> {
                    visit(i);
                    co_await yield();
                }));
            else if (random_() % 16 == 0)
                made.push_back(graph_.after(before, [this, i](subgraph& parts) {
                    visit(i);
                    for (int k = 0; k < 5; ++k) parts.add([this] { ++of_parts_; });
                }));
            else
                made.push_back(graph_.after(before, [this, i] { visit(i); }));
        }
    }

    void run_often() {
        for (int r = 1; r <= runs; ++r) {
            ++run_;
            visits_ = 0;
            fails_at_ = random_() % 3 == 0 ? random_() % nodes_.size() : nodes_.size();
            const bool cancels = random_() % 3 == 0;
            try {
                if (cancels) {
                    auto running = pool_.submit([this] { return graph_.run_async(pool_); });
                    for (auto k = random_() % 2000; k > 0; --k) detail::spin_pause();
                    (void)running.cancel();
                    running.get();
                } else {
                    graph_.run(pool_);
                }
                if (visits_ != nodes_.size() || fails_at_ != nodes_.size()) ++wrong_;
                ++whole_;
            } catch (const failure&) {
                if (fails_at_ == nodes_.size()) ++wrong_;
            } catch (const cancelled&) {
                if (!cancels) ++wrong_;
            }
        }
    }
    int wrong() const { return wrong_; }
    int whole() const { return whole_; }

  private:
    struct place {
        std::vector<std::size_t> before;
        int run = 0; // in which it was visited last
    };

    void visit(std::size_t i) {
        if (i == fails_at_) throw failure{1};
        for (const std::size_t b : nodes_[i].before)
            if (nodes_[b].run != run_) ++wrong_;
        if (nodes_[i].run == run_) ++wrong_;
        nodes_[i].run = run_;
        ++visits_;
    }

    thread_pool& pool_;
    std::mt19937 random_;
    std::vector<place> nodes_;
    graph graph_;
    int run_ = 0;
    std::size_t fails_at_ = 0;
    std::atomic<std::size_t> visits_{0};
    std::atomic<int> of_parts_{0};
    std::atomic<int> wrong_{0};
    int whole_ = 0;
};

TEST(GraphStress, NodesRunOnceAndInOrderWhateverBecomesOfTheRun) {
    unheard failures; // further ones of the same run
    thread_pool pool{{.workers = 3, .on_unhandled = failures.handler()}};
    std::atomic<int> wrong{0};
    std::atomic<int> whole{0};
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            for (unsigned i = 0; i < graphs; ++i) {
                checked_graph g{pool, 1000 * t + i};
                g.run_often();
                wrong += g.wrong();
                whole += g.whole();
            }
        });
    threads.clear();
    EXPECT_EQ(wrong, 0);
    EXPECT_GT(whole, 0);
}

} // namespace
} // namespace plait::test
