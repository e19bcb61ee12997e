// SPDX-License-Identifier: Apache-2.0
#include "process/worker_lost_codec.hpp"

#include "process/exception_types.hpp"

#include <utility>

namespace plait::detail {
namespace {

constexpr std::size_t least_per_frame = 4 * sizeof(std::uint64_t); // two lengths, two numbers

} // namespace

void write_details(byte_writer& out, const worker_lost::details& d) {
    out.put(d.pid);
    out.put(d.worker);
    out.put(d.signal);
    out.put(d.status);
    out.put(d.task);
    write_text(out, d.function);
    out.put(d.attempts);
    write_text(out, d.reason);
    out.put(d.most_attempts);
    write_text(out, d.earlier);
    write_text(out, d.thrown);
    out.put(static_cast<std::uint8_t>(d.faulted ? 1 : 0));
    out.put(d.address);
    out.put(d.duration);
    out.put(d.peak_memory);
    out.put(std::uint64_t{d.frames.size()});
    for (const worker_lost::frame& f : d.frames) {
        write_text(out, f.function);
        out.put(f.offset);
        write_text(out, f.module);
        out.put(f.place);
    }
    write_text(out, d.output);
}

worker_lost::details read_details(byte_reader& in) {
    worker_lost::details d;
    d.pid = in.take<int>();
    d.worker = in.take<unsigned>();
    d.signal = in.take<int>();
    d.status = in.take<int>();
    d.task = in.take<std::uint64_t>();
    d.function = read_text(in);
    d.attempts = in.take<int>();
    d.reason = read_text(in);
    d.most_attempts = in.take<int>();
    d.earlier = read_text(in);
    d.thrown = read_text(in);
    d.faulted = in.take<std::uint8_t>() != 0;
    d.address = in.take<std::uint64_t>();
    d.duration = in.take<std::int64_t>();
    d.peak_memory = in.take<std::int64_t>();
    const auto frames = in.take<std::uint64_t>();
    in.expect(frames, least_per_frame);
    for (std::uint64_t i = 0; i < frames; ++i) {
        worker_lost::frame f;
        f.function = read_text(in);
        f.offset = in.take<std::uint64_t>();
        f.module = read_text(in);
        f.place = in.take<std::uint64_t>();
        d.frames.push_back(std::move(f));
    }
    d.output = read_text(in);
    return d;
}

} // namespace plait::detail
