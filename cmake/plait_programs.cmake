# SPDX-License-Identifier: Apache-2.0
# The command, the examples and the benches. All of them find their sources by GLOB.

# Links whatever component of ours has sources by now; testing_run only for sources that include it.
function(plait_link_components target)
    get_property(components GLOBAL PROPERTY PLAIT_COMPONENTS)
    list(REMOVE_ITEM components testing_run)
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
        cmake_path(ABSOLUTE_PATH source)
        if(source MATCHES "cpp$" AND EXISTS ${source})
            file(STRINGS ${source} lines REGEX "^#include (<plait/testing(_run|_faults)?.hpp>|\"sweep.hpp\")")
            if(lines)
                # Before the others: what it defines is for all of them.
                target_link_libraries(${target} PRIVATE plait::testing_run)
            endif()
        endif()
    endforeach()
    foreach(component IN LISTS components)
        target_link_libraries(${target} PRIVATE plait::${component})
    endforeach()
    target_link_libraries(${target} PRIVATE plait_warnings)
endfunction()

# Manual pages, where scdoc is installed.
function(plait_manual)
    find_program(PLAIT_SCDOC scdoc)
    if(NOT PLAIT_SCDOC)
        return()
    endif()
    foreach(page plait.1 plait-fetch.1)
        set(source ${PROJECT_SOURCE_DIR}/docs/man/${page}.scd)
        set(result ${PROJECT_BINARY_DIR}/man/${page})
        file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man)
        execute_process(COMMAND ${PLAIT_SCDOC} INPUT_FILE ${source} OUTPUT_FILE ${result} COMMAND_ERROR_IS_FATAL ANY)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
        install(FILES ${result} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    endforeach()
endfunction()

function(plait_command)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/plait/*.cpp)
    if(NOT sources)
        return()
    endif()
    find_package(CLI11 REQUIRED)
    find_package(fmt REQUIRED)
    find_package(nlohmann_json REQUIRED)
    add_executable(plait ${sources})
    plait_link_components(plait)
    target_include_directories(plait PRIVATE ${PROJECT_SOURCE_DIR}/apps/plait)
    # GCC 12 at -O2 sees null pointers in the std::string code that CLI11's headers inline.
    set_source_files_properties(${PROJECT_SOURCE_DIR}/apps/plait/options.cpp TARGET_DIRECTORY plait PROPERTIES
                                COMPILE_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference>)
    target_compile_definitions(plait PRIVATE PLAIT_VERSION_TEXT="${PROJECT_VERSION}")
    target_link_libraries(plait PRIVATE CLI11::CLI11 fmt::fmt nlohmann_json::nlohmann_json)
    # A sixth of the instructions of a request were malloc's (decision 0032). Sanitizers bring their own.
    find_package(mimalloc QUIET)
    if(mimalloc_FOUND AND NOT PLAIT_SANITIZER)
        target_link_libraries(plait PRIVATE mimalloc)
    endif()
    set_target_properties(plait PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
        INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
    install(TARGETS plait RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    plait_manual()
endfunction()

function(plait_examples)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.cpp)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM name)
        add_executable(example_${name} ${source})
        plait_link_components(example_${name})
        set_target_properties(example_${name} PROPERTIES
            OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
    endforeach()
endfunction()

# bench/NAME.cpp is a program of its own; bench/rivals/*.hpp are adapters that look for their rival by __has_include.
function(plait_benches)
    find_package(benchmark QUIET)
    find_package(OpenMP QUIET COMPONENTS CXX) # for those that name OpenMP::OpenMP_CXX
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM name)
        add_executable(bench_${name} ${source})
        plait_link_components(bench_${name})
        target_include_directories(bench_${name} PRIVATE ${PROJECT_SOURCE_DIR}/bench ${PROJECT_SOURCE_DIR}/src)
        target_compile_definitions(bench_${name} PRIVATE PLAIT_BENCH_SOURCE="${PROJECT_SOURCE_DIR}/bench")
        # GCC 12 sees null pointers in inlined Boost.Asio that are not there. Of the source: these come last.
        set_source_files_properties(${source} PROPERTIES
            COMPILE_OPTIONS "$<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference>")
        if(TARGET benchmark::benchmark)
            target_link_libraries(bench_${name} PRIVATE benchmark::benchmark)
        endif()
        # `// link: tbb uv` in the source names further libraries.
        file(STRINGS ${source} lines REGEX "^// link: ")
        foreach(line IN LISTS lines)
            string(REGEX REPLACE "^// link: *" "" line "${line}")
            separate_arguments(libraries UNIX_COMMAND "${line}")
            target_link_libraries(bench_${name} PRIVATE ${libraries})
        endforeach()
        set_target_properties(bench_${name} PROPERTIES
            OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
    endforeach()
endfunction()
