// SPDX-License-Identifier: Apache-2.0
#include "fetch/crew.hpp"

#include <plait/errors.hpp>
#include <plait/process_pool.hpp>

#include <list>
#include <utility>

namespace plait::fetch {
namespace {

/// A worker process's own, made by the initializer. Never destroyed: the process ends by _exit.
workshop* own_workshop = nullptr;

void set_up_worker(const work_options& common) {
    prepare_process();
    own_workshop = new workshop{common};
}

fetched fetch_in_worker(const order& what) {
    fetched answer = perform(*own_workshop, what);
    answer.worker = static_cast<std::uint32_t>(process_worker_number());
    return answer;
}

/// A place in the list of what is under way, for as long as it lives.
class listed {
  public:
    listed(std::list<std::uint64_t>& all, std::uint64_t hash) : all_(all), at_(all.insert(all.end(), hash)) {}
    ~listed() { all_.erase(at_); }
    listed(const listed&) = delete;
    listed& operator=(const listed&) = delete;

  private:
    std::list<std::uint64_t>& all_;
    std::list<std::uint64_t>::iterator at_;
};

/// Worker processes: orders go out, results come back, the files are written by the workers.
class process_crew final : public crew {
  public:
    process_crew(work_options common, std::size_t workers)
        : workers_(workers),
          pool_{{.workers = static_cast<int>(workers), .initializer = {set_up_worker, common}}} {
        if (!common.directory.empty()) place_ = std::make_unique<directory>(common.directory);
    }

    task<fetched> perform(order what) override {
        auto done = pool_.submit(fetch_in_worker, what);
        const listed until_done{under_way_, what.hash};
        std::exception_ptr lost;
        fetched answer;
        try {
            answer = co_await std::move(done);
        } catch (const worker_lost& death) {
            answer.failure = static_cast<std::int32_t>(http::cause::connect); // to be asked again
            answer.text = death.what();
            lost = std::current_exception();
        } catch (const shutdown_error&) {
            lost = std::current_exception();
        }
        if (lost) {
            sweep(what);
            if (killed_) throw cancelled{};
        }
        co_return answer;
    }

    std::size_t places() const noexcept override { return workers_; }
    std::size_t workers() const noexcept override { return workers_; }

    /// Their memory is theirs; their files are in the open.
    underway look() override {
        underway out;
        if (place_)
            for (const std::uint64_t hash : under_way_) out.bytes += place_->arrived(hash);
        return out;
    }

    bool abandon_all() override {
        killed_ = true;
        pool_.shutdown({.wait = false, .cancel_pending = true, .kill = true});
        return true;
    }

  private:
    /// A worker that was killed leaves its temporary file; nobody holds its lock any more.
    void sweep(const order& what) noexcept {
        if (!place_) return;
        try {
            sink left;
            (void)left.open(*place_, what.hash);
        } catch (const disk_error&) { // the next run takes it over
        }
    }

    std::size_t workers_;
    std::unique_ptr<directory> place_;
    bool killed_ = false;
    std::list<std::uint64_t> under_way_;
    process_pool pool_;
};

} // namespace

std::unique_ptr<crew> make_process_crew(work_options common, std::size_t workers) {
    return std::make_unique<process_crew>(std::move(common), workers);
}

} // namespace plait::fetch
