// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <memory>
#include <plait/any_executor.hpp>
#include <plait/async_barrier.hpp>
#include <plait/async_condition.hpp>
#include <plait/async_event.hpp>
#include <plait/async_latch.hpp>
#include <plait/async_mutex.hpp>
#include <plait/async_semaphore.hpp>
#include <plait/async_shared_mutex.hpp>
#include <plait/channel.hpp>
#include <plait/fetch.hpp>
#include <plait/generator.hpp>
#include <plait/graph.hpp>
#include <plait/http.hpp>
#include <plait/io.hpp>
#include <plait/offload.hpp>
#include <plait/once.hpp>
#include <plait/parallel.hpp>
#include <plait/pipe.hpp>
#include <plait/plait.hpp>
#include <plait/process.hpp>
#include <plait/process_channel.hpp>
#include <plait/process_output.hpp>
#include <plait/process_pool.hpp>
#include <plait/process_sync.hpp>
#include <plait/select.hpp>
#include <plait/serialize.hpp>
#include <plait/shared_array.hpp>
#include <plait/team.hpp>
#include <plait/testing.hpp>
#include <plait/trace.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// What they send. Apart: the serialiser would take `prelude::save` for theirs.
namespace messages {
struct reply {};
struct request {
    std::string what;
    int number = 0;
};
} // namespace messages

/// What the examples use and do not show.
namespace prelude {

using namespace std::chrono_literals;

struct page {};
using messages::reply;
using messages::request;
struct user {};
struct order {};
struct picture {};

struct person {
    int age = 0;
};

inline std::vector<std::string> urls, files, lines;
inline std::vector<person> people;
inline std::vector<float> pixels, canvas;
inline std::vector<double> samples, sums;
inline std::vector<std::size_t> sizes, ends;
inline std::size_t width = 0, height = 0, rows = 0;
inline std::string url, text, a, b;
inline std::size_t total = 0;
inline int left = 0, right = 0, id = 0;
inline std::array<std::byte, 64> buffer;

inline std::size_t count_words(const std::string&) { return 0; }
inline plait::task<std::size_t> download(std::string) { co_return 0; }
inline plait::task<std::size_t> download_all(std::vector<std::string>) { co_return 0; }
inline plait::task<int> serve(int) { co_return 0; }
inline plait::task<user> load_user(int) { co_return user{}; }
inline plait::task<std::vector<order>> load_orders(int) { co_return std::vector<order>{}; }
inline plait::task<> work(int) { co_return; }
inline plait::task<> say_goodbye(int) { co_return; }
inline plait::task<> answer_to(plait::io::socket) { co_return; }
inline plait::task<> echo(plait::io::socket) { co_return; }
inline void warm_up(plait::shared_array<double>, int, int) {}
inline void answer_all(const plait::pipe<reply, request>&) {}
inline void count_up(const plait::pipe_sender<int>&) {}
inline long count_all(const plait::process_channel<std::string>&) { return 0; }
inline void wait_and_run(const plait::process_event&) {}
inline void read_from_disk() {}
inline std::vector<double> strip_of(std::size_t, std::size_t) { return {}; }
inline const std::vector<double>& own_rows(const std::vector<double>& r) { return r; }
inline void relax(std::vector<double>&) {}
inline int build_index(int) { return 0; }
inline int n = 1;
inline long fib(plait::thread_pool&, int k) { return k; }
inline int find_names(const std::string&) { return 0; }
inline double sum_of(std::size_t) { return 0; }
inline float shade(std::size_t, std::size_t) { return 0; }
inline int answer() { return 42; }
inline int parse(const std::string&) { return 0; }
inline picture thumbnail(const std::string&) { return {}; }
inline picture shrink(const picture&) { return {}; }
inline std::string read_whole(const std::string&) { return {}; }
inline void open_database() {}
inline void open_database_in(const std::string&) {}
template <class... T>
void store(T&&...) {}
template <class... T>
void use(T&&...) {}
template <class... T>
void save(T&&...) {}
template <class... T>
void report(T&&...) {}

/// Something of that type which nobody touches: its example is compiled and never run. No pool may be made
/// before main.
template <class T>
inline T& a_(T* nobody = nullptr) {
    alignas(T) static unsigned char storage[sizeof(T)];
    return nobody ? *nobody : reinterpret_cast<T&>(storage);
}

inline plait::thread_pool& pool = a_<plait::thread_pool>();
inline plait::event_loop& loop = a_<plait::event_loop>();
inline plait::task_group& group = a_<plait::task_group>();
inline plait::io::listener listener;
inline std::vector<plait::future<int>> futures;
inline std::vector<plait::future<page>> downloads;
inline picture image;

inline struct {
    template <class F>
    void on_reply(F) {}
} client;
inline int conn = 0;
inline bool stopped = false;

} // namespace prelude
