// SPDX-License-Identifier: Apache-2.0
#pragma once

// Threads, loops, coroutines and their results. Processes, HTTP and the rest have headers of their own, and so have
// of core io, offload and trace: with them this one would cost more than four times <vector> (test header_budget).
#include <plait/blocking_region.hpp>
#include <plait/errors.hpp>
#include <plait/event_loop.hpp>
#include <plait/executor.hpp>
#include <plait/future.hpp>
#include <plait/gather.hpp>
#include <plait/graph.hpp>
#include <plait/loop_pool.hpp>
#include <plait/map.hpp>
#include <plait/outcome.hpp>
#include <plait/resume_on.hpp>
#include <plait/serial.hpp>
#include <plait/shield.hpp>
#include <plait/task.hpp>
#include <plait/task_group.hpp>
#include <plait/this_task.hpp>
#include <plait/thread_pool.hpp>
#include <plait/time.hpp>
#include <plait/wait.hpp>
#include <plait/worker_local.hpp>
