// SPDX-License-Identifier: Apache-2.0
// A pipeline of three channels: numbers -> squares (four tasks) -> texts -> one line each. Every stage has
// handles of its ends, so the end of the numbers runs through the whole of it; full channels hold back who is
// too fast.
#include <plait/channel.hpp>
#include <plait/event_loop.hpp>
#include <plait/task_group.hpp>

#include <cstdio>
#include <string>

namespace {

template <class T>
using from = typename plait::channel<T>::receiver;
template <class T>
using to = typename plait::channel<T>::sender;

plait::task<> count(to<int> given, int n) {
    auto out = std::move(given); // goes when this is done: the last sender's end closes the channel
    for (int i = 1; i <= n; ++i) co_await out.send(i);
}

plait::task<> square(from<int> in, to<long> given) {
    auto out = std::move(given);
    while (const auto x = co_await in.receive()) co_await out.send(long{*x} * *x);
}

plait::task<> write(from<long> in, to<std::string> given) {
    auto out = std::move(given);
    while (const auto x = co_await in.receive()) co_await out.send("square " + std::to_string(*x));
}

plait::task<> print(from<std::string> in) {
    std::size_t lines = 0;
    while (const auto line = co_await in.receive()) {
        if (lines++ < 3) std::printf("%s\n", line->c_str());
    }
    std::printf("%zu lines\n", lines);
}

plait::task<> pipeline(int n) {
    plait::channel<int> numbers{16};
    plait::channel<long> squares{16};
    plait::channel<std::string> texts{4};
    co_await plait::with_group([&](plait::task_group& group) -> plait::task<> {
        group.spawn(count(numbers.make_sender(), n));
        for (int i = 0; i < 4; ++i) group.spawn(square(numbers.make_receiver(), squares.make_sender()));
        group.spawn(write(squares.make_receiver(), texts.make_sender()));
        co_await print(texts.make_receiver());
    });
}

} // namespace

int main(int argc, char** argv) { plait::run(pipeline(argc > 1 ? std::stoi(argv[1]) : 1000)); }
