# SPDX-License-Identifier: Apache-2.0
# How everything in this tree is compiled: language, warnings, build types, ccache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    # NDEBUG must not change any layout: a Debug program may use a Release library.
    # -g1 keeps lines for the stacks in worker_lost and eu-stack.
    set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
    # Without -foptimize-sibling-calls GCC turns symmetric transfer into a call, and a loop of co_awaits overflows.
    set(CMAKE_CXX_FLAGS_DEBUG "-Og -g -foptimize-sibling-calls -D_GLIBCXX_ASSERTIONS")
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
        set(CMAKE_CXX_FLAGS_DEBUG "-Og -g -D_GLIBCXX_ASSERTIONS")
    endif()
    add_link_options(-Wl,--build-id)

    find_program(PLAIT_CCACHE ccache)
    if(PLAIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER
            ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_NOHASHDIR=1
            CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
            ${PLAIT_CCACHE})
    endif()
endif()

# Linked as $<BUILD_INTERFACE:plait_warnings>, so that warnings never reach a user of the installed library.
add_library(plait_warnings INTERFACE)
target_compile_options(plait_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wcast-align -Wold-style-cast
    -Woverloaded-virtual -Wnon-virtual-dtor -Wnull-dereference -Wformat=2 -Wextra-semi -Wundef -Wvla
    -Wdouble-promotion -Wsuggest-override -Wredundant-move
    $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wduplicated-branches;-Wlogical-op;-Wno-mismatched-new-delete>
    # "text" + std::string: GCC bug 105651, until 13
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety;-Wunreachable-code>
    $<$<BOOL:${PLAIT_WERROR}>:-Werror>)
