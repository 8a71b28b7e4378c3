# Compiler settings and the ways a target is made here.
#
#   dbsa_library(NAME SOURCES ... [LIBS ...])             static, part of the framework
#   dbsa_plugin(KIND NAME SOURCES ... [LIBS ...])         DbsaPlugin.cmake: library and manifest
#   dbsa_test(NAME SOURCES ... [LIBS ...] [TIMEOUT s] [PREFIX p])
#                                                         GoogleTest program, one CTest per case
#   dbsa_test_library(NAME SOURCES ... [LIBS ...] [ORACLE])
#                                                         static, what several tests share
#   dbsa_fuzzer(NAME SOURCES ... [LIBS ...])              libFuzzer target, with DBSA_BUILD_FUZZERS

include(CheckCXXCompilerFlag)

add_library(dbsa_compile_options INTERFACE)
target_compile_options(dbsa_compile_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow
                       $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-Woverloaded-virtual>)
# GCC 12 sees overlapping copies inside std::string that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(dbsa_compile_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(DBSA_WARNINGS_AS_ERRORS)
  target_compile_options(dbsa_compile_options INTERFACE -Werror)
endif()
if(DBSA_SANITIZE)
  target_compile_options(dbsa_compile_options INTERFACE -fsanitize=${DBSA_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(dbsa_compile_options INTERFACE -fsanitize=${DBSA_SANITIZE})
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
    DBSA_PLUGIN_DIR="${DBSA_PLUGIN_DIR}"
    # Everything takes several times as long.
    $<$<OR:$<BOOL:${DBSA_SANITIZE}>,$<BOOL:${DBSA_BUILD_FUZZERS}>>:DBSA_SANITIZED>)
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock dbsa_compile_options)
  # What is tested is optimised; optimising its tests as much takes longer than it saves, and
  # instrumented tests take three times as long to optimise at all.
  if(DBSA_BUILD_FUZZERS)
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
    target_compile_options(${name} PRIVATE -O2)
  endif()
endfunction()

function(dbsa_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;PREFIX" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest_main)
  _dbsa_test_settings(${name})
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${ARG_PREFIX}" PROPERTIES TIMEOUT ${ARG_TIMEOUT})
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
endfunction()
