# Compiler settings and the ways a target is made here.
#
#   dbsa_library(NAME SOURCES ... [LIBS ...])             static, part of the framework
#   dbsa_plugin(KIND NAME SOURCES ... [LIBS ...])         DbsaPlugin.cmake: library and manifest
#   dbsa_test(NAME SOURCES ... [OPTIMISED ...] [LIBS ...] [TIMEOUT s] [COST n] [PREFIX p] [AREA a]
#             [THREADED filter])
#                                                         GoogleTest program, one CTest per case
#   dbsa_test_library(NAME SOURCES ... [LIBS ...] [ORACLE])
#                                                         static, what several tests share
#   dbsa_fuzzer(NAME SOURCES ... [LIBS ...])              libFuzzer target and the test fuzz.NAME, with
#                                                         DBSA_BUILD_FUZZERS
#
# An area is what a folder of tests/ is about. Its tests have its name as CTest's label, and the
# target area-<name> builds them. THREADED: those of a program's tests that are about threads, as for
# GoogleTest's --gtest_filter; they run under ThreadSanitizer too, and the target threaded-tests
# builds their programs.

include(CheckCXXCompilerFlag)

add_library(dbsa_compile_options INTERFACE)
target_compile_options(dbsa_compile_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow
                       $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-Woverloaded-virtual>)
# GCC 12 sees overlapping copies inside std::string that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(dbsa_compile_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  # It takes the sources of a unity build for headers, in which unnamed namespaces would be mistakes.
  if(CMAKE_UNITY_BUILD)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
  endif()
endif()
if(DBSA_WARNINGS_AS_ERRORS)
  target_compile_options(dbsa_compile_options INTERFACE -Werror)
endif()
if(DBSA_SANITIZE)
  target_compile_options(dbsa_compile_options INTERFACE -fsanitize=${DBSA_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(dbsa_compile_options INTERFACE -fsanitize=${DBSA_SANITIZE})
  if(DBSA_SANITIZE MATCHES thread)  # clang 14 has no macro that says so
    target_compile_definitions(dbsa_compile_options INTERFACE DBSA_SANITIZED_THREADS)
  endif()
endif()
if(DBSA_BUILD_FUZZERS)
  target_compile_options(dbsa_compile_options INTERFACE -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(dbsa_compile_options INTERFACE -fsanitize=address,undefined)
endif()
# The counters a fuzzer finds its way by, in the libraries that fuzz targets link and nowhere else:
# they cost time, to compile and to run.
add_library(dbsa_fuzzer_counters INTERFACE)
if(DBSA_BUILD_FUZZERS)
  target_compile_options(dbsa_fuzzer_counters INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(DBSA_CCACHE ccache)
if(DBSA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${DBSA_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DBSA_CCACHE})
endif()

# Both link in a fraction of the default linker's time.
find_program(DBSA_LINKER NAMES ld.lld ld.mold)
if(DBSA_LINKER)
  string(REGEX REPLACE ".*ld\\." "-fuse-ld=" linker_option ${DBSA_LINKER})
  add_link_options($<$<NOT:$<LINK_LANGUAGE:CUDA>>:${linker_option}>)
endif()

function(dbsa_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/framework)
  target_link_libraries(${name} PUBLIC dbsa_sdk ${ARG_LIBS} PRIVATE dbsa_compile_options dbsa_fuzzer_counters)
endfunction()

add_custom_target(dbsa_plugins)  # all plugins

set(DBSA_PLUGIN_VENDOR dbsa)
include(DbsaPlugin)
include(DbsaInstall)

if(DBSA_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# What test programs and what they share are compiled with.
function(_dbsa_test_settings name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    DBSA_SOURCE_DIR="${PROJECT_SOURCE_DIR}" DBSA_BINARY_DIR="${PROJECT_BINARY_DIR}"
    DBSA_PLUGIN_DIR="${DBSA_PLUGIN_DIR}")
  if(DBSA_SANITIZE OR DBSA_BUILD_FUZZERS)  # everything takes several times as long
    target_compile_definitions(${name} PRIVATE DBSA_SANITIZED)
  endif()
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock dbsa_compile_options)
  # What is tested is optimised; optimising its tests as much takes longer than it saves, and
  # instrumented tests take three times as long to optimise at all.
  if(DBSA_BUILD_FUZZERS OR DBSA_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)
  else()
    target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
  endif()
endfunction()

# ORACLE: it computes a lot, so it is optimised in every build.
function(dbsa_test_library name)
  cmake_parse_arguments(ARG "ORACLE" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LIBS})
  _dbsa_test_settings(${name})
  if(ARG_ORACLE)
    target_compile_options(${name} PRIVATE -O2 -fno-sanitize=undefined)  # checked by AddressSanitizer
  endif()
endfunction()

add_custom_target(threaded-tests)

# Makes target area-<area> build a target too.
function(dbsa_add_to_area area)
  if(NOT TARGET area-${area})
    add_custom_target(area-${area})
  endif()
  add_dependencies(area-${area} ${ARGN})
endfunction()

# OPTIMISED: sources whose own loops take longer unoptimised than they take to compile with -O2.
# COST: seconds that a case of the program may take, so that CTest begins with the slowest.
function(dbsa_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;PREFIX;AREA;COST;THREADED" "SOURCES;OPTIMISED;LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 0)
  endif()
  if(NOT ARG_AREA)
    get_filename_component(ARG_AREA ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  endif()
  add_executable(${name} ${ARG_SOURCES} ${ARG_OPTIMISED})
  if(ARG_OPTIMISED)
    set_source_files_properties(${ARG_OPTIMISED} PROPERTIES COMPILE_OPTIONS -O2)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest_main)
  _dbsa_test_settings(${name})
  dbsa_add_to_area(${ARG_AREA} ${name})
  set(filter "")
  if(ARG_THREADED)
    add_dependencies(threaded-tests ${name})
    if(DBSA_SANITIZE MATCHES thread)
      set(filter TEST_FILTER ${ARG_THREADED})
    endif()
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 ${filter} TEST_PREFIX "${ARG_PREFIX}"
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} COST ${ARG_COST} LABELS ${ARG_AREA})
endfunction()

function(dbsa_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT DBSA_BUILD_FUZZERS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE DBSA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} dbsa_compile_options dbsa_fuzzer_counters)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  get_filename_component(area ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  dbsa_add_to_area(${area} ${name})
  add_test(NAME fuzz.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/run_fuzzer.sh
           $<TARGET_FILE:${name}> ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS ${area} COST 30 TIMEOUT 7200)
endfunction()
