# SPDX-License-Identifier: Apache-2.0
# plait_component(NAME ROOMS... [COMPONENTS other...] [PACKAGE p [LINK t...] [PRIVATE t...] [PKGCONFIG m]]...)
#
# Makes the library plait_NAME (alias plait::NAME, file libplait-NAME) from src/ROOM/*.cpp, and its own export set.
# Rooms that have no sources yet give an INTERFACE library, and their packages are not looked for.
#   COMPONENTS  components that it stands on
#   PACKAGE     a package to be found by find_package, here and (for LINK, or in static builds) by consumers
#   LINK        targets of packages that the public face needs; PRIVATE: only the sources
#   PKGCONFIG   the pkg-config module that static builds must ask for

include(CMakePackageConfigHelpers)

function(plait_component name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ROOMS;COMPONENTS;PACKAGE;LINK;PRIVATE;PKGCONFIG")
    set(target plait_${name})
    set(sources "")
    foreach(room IN LISTS arg_ROOMS)
        file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cpp)
        list(APPEND sources ${found})
    endforeach()

    if(sources)
        add_library(${target} ${sources})
        set(public PUBLIC)
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
        target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:plait_warnings>)
        set_target_properties(${target} PROPERTIES
            OUTPUT_NAME plait-${name} VERSION ${PROJECT_VERSION}
            SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} INSTALL_RPATH $ORIGIN DEFINE_SYMBOL "")
        foreach(package IN LISTS arg_PACKAGE)
            find_package(${package} REQUIRED)
        endforeach()
        target_link_libraries(${target} PUBLIC ${arg_LINK} PRIVATE ${arg_PRIVATE})
        set(packages ${arg_PACKAGE})
        if(BUILD_SHARED_LIBS AND NOT arg_LINK)
            set(packages "")
        endif()
        set(libs "-lplait-${name}")
        set(modules "")
        if(NOT BUILD_SHARED_LIBS)
            set(modules ${arg_PKGCONFIG})
        endif()
    else()
        add_library(${target} INTERFACE)
        set(public INTERFACE)
        set(packages "")
        set(libs "")
        set(modules "")
        if(name STREQUAL core)
            find_package(Threads REQUIRED)
            set(packages Threads)
            target_link_libraries(${target} INTERFACE Threads::Threads)
        endif()
    endif()

    add_library(plait::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    target_compile_features(${target} ${public} cxx_std_20)
    target_include_directories(${target} ${public}
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    foreach(other IN LISTS arg_COMPONENTS)
        target_link_libraries(${target} ${public} plait::${other})
    endforeach()

    install(TARGETS ${target} EXPORT plait-${name}-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(EXPORT plait-${name}-targets NAMESPACE plait::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/plait FILE plait-${name}-targets.cmake)

    set_property(GLOBAL APPEND PROPERTY PLAIT_COMPONENTS ${name})
    set_property(GLOBAL PROPERTY PLAIT_${name}_COMPONENTS "${arg_COMPONENTS}")
    set_property(GLOBAL PROPERTY PLAIT_${name}_PACKAGES "${packages}")
    set_property(GLOBAL PROPERTY PLAIT_${name}_LIBS "${libs}")
    set_property(GLOBAL PROPERTY PLAIT_${name}_MODULES "${modules}")
    set_property(GLOBAL PROPERTY PLAIT_${name}_SOURCES "${sources}")
endfunction()

# plait_pkgconfig(FILE description COMPONENTS components... REQUIRES modules...): installs FILE.pc, relocatable.
function(plait_pkgconfig file description)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "COMPONENTS;REQUIRES")
    set(pc_name ${file})
    set(pc_description ${description})
    set(libs "")
    set(modules ${arg_REQUIRES})
    foreach(component IN LISTS arg_COMPONENTS)
        get_property(component_libs GLOBAL PROPERTY PLAIT_${component}_LIBS)
        get_property(component_modules GLOBAL PROPERTY PLAIT_${component}_MODULES)
        list(APPEND libs ${component_libs})
        list(APPEND modules ${component_modules})
    endforeach()
    list(JOIN libs " " pc_libs)
    list(JOIN modules ", " pc_requires)
    file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
    configure_file(${PROJECT_SOURCE_DIR}/cmake/plait.pc.in ${PROJECT_BINARY_DIR}/${file}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# Headers, find_package's files and pkg-config's.
function(plait_install_package)
    if(EXISTS ${PROJECT_SOURCE_DIR}/include/plait)
        install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/plait DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    endif()

    get_property(components GLOBAL PROPERTY PLAIT_COMPONENTS)
    set(table "set(_plait_known ${components})\n")
    foreach(component IN LISTS components)
        get_property(others GLOBAL PROPERTY PLAIT_${component}_COMPONENTS)
        get_property(packages GLOBAL PROPERTY PLAIT_${component}_PACKAGES)
        string(APPEND table "set(_plait_${component}_components ${others})\n"
                            "set(_plait_${component}_packages ${packages})\n")
    endforeach()
    set(destination ${CMAKE_INSTALL_LIBDIR}/cmake/plait)
    configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/plait-config.cmake.in
        ${PROJECT_BINARY_DIR}/plait-config.cmake INSTALL_DESTINATION ${destination})
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/plait-config-version.cmake
        COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/plait-config.cmake ${PROJECT_BINARY_DIR}/plait-config-version.cmake
        DESTINATION ${destination})

    plait_pkgconfig(plait "${PROJECT_DESCRIPTION}" COMPONENTS process core)
    plait_pkgconfig(plait-http "plait's HTTP sessions" COMPONENTS http REQUIRES plait)
    plait_pkgconfig(plait-fetch "plait's batch downloads" COMPONENTS fetch REQUIRES plait-http)
    plait_pkgconfig(plait-testing "plait's explorer of schedules" COMPONENTS testing REQUIRES plait)
    plait_pkgconfig(plait-testing_run "plait's virtual clock and faults" COMPONENTS testing_run REQUIRES plait-testing)
endfunction()
