// SPDX-License-Identifier: Apache-2.0
// component: process
// A worker that writes anything into its lane: the parent takes results, streams, output requests and the
// crash report, or finds the lane damaged. Nothing that it says is believed further than it can be checked.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "process/death_report.hpp"
#include "process/parent_lane.hpp"

#include <plait/detail/process_job.hpp>

namespace {

using plait::detail::parent_lane;

void require(bool holds) {
    if (!holds) std::abort();
}

class some_task final : public plait::detail::process_task {
  public:
    explicit some_task(std::size_t size) {
        const std::vector<char> content(size, 'a');
        arguments.append(content.data(), content.size());
    }
    void finished(plait::detail::process_result&&) noexcept override {}
    plait::detail::sink_owner make_sink(const std::byte* head, std::uint64_t announced) override {
        std::uint64_t count = 0;
        std::memcpy(&count, head, sizeof(count));
        if (count != announced - sizeof(count)) return {};
        return plait::detail::sink_owner{new plait::detail::bulk_sink<std::vector<char>>{count}};
    }

  private:
    void released() noexcept override { delete this; }
};

void look_at_all(parent_lane& lane) {
    static_cast<void>(lane.needs_attention());
    static_cast<void>(lane.running());
    static_cast<void>(lane.pump(lane.streaming()));
    static_cast<void>(lane.hand_over_output(lane.output_wanted()));
    for (int i = 0; i < 4; ++i) {
        plait::detail::process_result result;
        bool streamed = false;
        std::uint32_t elapsed = 0;
        plait::detail::process_task* task = lane.harvest(result, streamed, elapsed);
        if (task == nullptr) break;
        require(!lane.damaged || result.what == plait::detail::process_result::kind::failed);
        task->drop_reference();
    }
    lane.recycle();
    require(plait::detail::error_of(
                {{}, std::make_unique<plait::detail::crash_record>(lane.view().crash())}) != nullptr);
}

// Each piece: where (in the header, the crash report, the queue or the first slots), how long, and the bytes.
void spoil(parent_lane& lane, const std::uint8_t* data, std::size_t size) {
    struct place {
        std::uint32_t at;
        std::uint16_t length;
    };
    constexpr std::size_t reach = plait::detail::lane_slots_offset + 8 * sizeof(plait::detail::lane_slot);
    // The word that we would sleep for, and the hold, are not read for sense.
    while (size >= sizeof(place)) {
        place p{};
        std::memcpy(&p, data, sizeof(p));
        data += sizeof(p);
        size -= sizeof(p);
        const std::size_t length = std::min<std::size_t>(p.length % 512, size);
        const std::size_t at = p.at % (reach - 512);
        std::memcpy(lane.view().at(at), data, length);
        data += length;
        size -= length;
        look_at_all(lane);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    parent_lane lane{0, 1, (data[0] & 1) != 0 ? 8U : 0U, false};
    for (const std::size_t length :
         {std::size_t{8}, std::size_t{500}, std::size_t{70'000}, std::size_t{3'000'000}})
        lane.place(*new some_task{length}, 1, 0, true);
    spoil(lane, data + 1, size - 1);
    for (std::uint64_t index = 0; (index = lane.first_index()) != parent_lane::none;)
        lane.forget(index)->drop_reference();
    return 0;
}
