// SPDX-License-Identifier: Apache-2.0
// A build as a task graph: sources are compiled, linked and tested, and what the tests find broken is mended
// and built again. `build_graph --dot` shows the graph in Graphviz's language instead.
#include <plait/graph.hpp>
#include <plait/thread_pool.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    constexpr std::array sources{"lexer", "parser", "printer"};
    std::atomic<int> compiled{0};
    int linked = 0;
    int broken = 2;

    plait::graph build;
    auto configure = build.add({.name = "configure"}, [] { std::puts("configured"); });
    auto generate = build.after(configure, {.name = "generate"}, [&compiled] { compiled = 0; });
    std::vector<plait::graph_node> objects;
    for (const char* source : sources)
        objects.push_back(build.after(generate, {.name = source}, [&compiled] { ++compiled; }));
    auto link = build.after(objects, {.name = "link"}, [&] {
        ++linked;
        std::printf("linked %d objects\n", compiled.load());
    });
    auto test = build.after(link, {.name = "test"}, [&](plait::subgraph& tests) {
        // As many as there are to be run is known only now.
        for (int i = 0; i < linked; ++i) tests.add([] {});
    });
    auto good = build.condition(test, {.name = "good?"}, [&] { return broken == 0 ? 1 : 0; });
    auto mend = build.after(good, {.name = "mend"}, [&] { std::printf("mended, %d left\n", --broken); });
    build.after(good, {.name = "install"}, [] { std::puts("installed"); });
    build.precede(build.condition(mend, {.name = "again"}, [] { return 0; }), generate);

    if (argc > 1 && std::string_view{argv[1]} == "--dot") {
        std::fputs(build.to_dot().c_str(), stdout);
        return 0;
    }
    plait::thread_pool pool;
    build.run(pool);
}
