# SPDX-License-Identifier: Apache-2.0
# cmake -DBUILD=dir -DCOMPILER=g++ -DCOMPONENTS=core,http [-DSHARED_FROM=source dir] -P run.cmake
# Installs, renames the prefix, and builds and runs a stranger's project outside the tree: by find_package, then by
# pkg-config. With SHARED_FROM the library is first built with BUILD_SHARED_LIBS=ON, in BUILD-shared.
string(REPLACE "," ";" components "${COMPONENTS}")
string(RANDOM LENGTH 12 random)
set(work $ENV{TMPDIR})
if(NOT work)
    set(work /tmp)
endif()
set(work ${work}/plait-install-${random})
file(MAKE_DIRECTORY ${work})

function(fail text)
    file(REMOVE_RECURSE ${work})
    message(FATAL_ERROR "${text}")
endfunction()

function(run what)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(failed)
        fail("${what}: ${failed}\n${output}")
    endif()
endfunction()

if(SHARED_FROM)
    # Beside the other one, and as deep in the tree: ccache has seen these compilations.
    string(APPEND BUILD -shared)
    run("configure with shared libraries" ${CMAKE_COMMAND} -G Ninja -S ${SHARED_FROM} -B ${BUILD}
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${COMPILER} -DBUILD_SHARED_LIBS=ON
        -DPLAIT_WERROR=ON -DPLAIT_TESTS=OFF -DPLAIT_EXAMPLES=OFF)
    run("build shared libraries" ${CMAKE_COMMAND} --build ${BUILD})
endif()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
set(moved ${work}/moved)
file(RENAME ${work}/prefix ${moved})

# Nothing installed may remember where it was built.
file(GLOB_RECURSE texts ${moved}/*.cmake ${moved}/*.pc)
foreach(text IN LISTS texts)
    file(READ ${text} content)
    foreach(old ${work}/prefix ${BUILD} ${SHARED_FROM})
        string(FIND "${content}" "${old}/" at)
        if(at GREATER -1)
            fail("${text} names ${old}")
        endif()
    endforeach()
endforeach()

file(COPY ${CMAKE_CURRENT_LIST_DIR}/consumer DESTINATION ${work})
run("configure the consumer" ${CMAKE_COMMAND} -G Ninja -S ${work}/consumer -B ${work}/consumer/build
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${moved} -DCONSUMER_COMPONENTS=${COMPONENTS})
run("build the consumer" ${CMAKE_COMMAND} --build ${work}/consumer/build)

file(GLOB_RECURSE pcs ${moved}/*.pc)
list(GET pcs 0 pc)
cmake_path(GET pc PARENT_PATH pc_folder)
set(ENV{PKG_CONFIG_PATH} ${pc_folder})
set(module_core plait)
set(module_process plait)
set(module_http plait-http)

foreach(component IN LISTS components)
    if(NOT EXISTS ${work}/consumer/use_${component}.cpp)
        continue()
    endif()
    run("run use_${component}, built by find_package" ${work}/consumer/build/use_${component})
    execute_process(COMMAND pkg-config --cflags --libs ${module_${component}}
        OUTPUT_VARIABLE flags ERROR_VARIABLE flags RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(failed)
        fail("pkg-config ${module_${component}}: ${flags}")
    endif()
    separate_arguments(flags UNIX_COMMAND "${flags}")
    if(SHARED_FROM)
        execute_process(COMMAND pkg-config --variable=libdir plait OUTPUT_VARIABLE libdir OUTPUT_STRIP_TRAILING_WHITESPACE)
        list(APPEND flags -Wl,-rpath,${libdir})
    endif()
    run("build use_${component} by pkg-config: ${flags}"
        ${COMPILER} -std=c++20 ${work}/consumer/use_${component}.cpp -o ${work}/by_pkgconfig_${component} ${flags})
    run("run use_${component}, built by pkg-config" ${work}/by_pkgconfig_${component})
endforeach()

if(EXISTS ${moved}/bin/plait)
    run("the installed command" ${moved}/bin/plait --version)
endif()
file(REMOVE_RECURSE ${work})
