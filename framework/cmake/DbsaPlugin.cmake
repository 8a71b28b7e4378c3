# How a plugin is made, in this tree and by others (`find_package(dbsa)` includes this file):
#
#   dbsa_plugin(KIND NAME SOURCES ... [LIBS ...] [VENDOR vendor])
#
# makes the target <kind>_<name>: a shared object <vendor>_<kind>_<name>.so that exports
# only `dbsa_plugin`, and beside it the manifest, taken from plugin.toml of the calling folder.
# Both go to DBSA_PLUGIN_DIR (default: <build>/plugins), where --plugin-path finds them, and are
# installed to <libdir>/dbsa/plugins. VENDOR defaults to DBSA_PLUGIN_VENDOR, then the project's name.
# Where no build type is given, it is Release.
include(GNUInstallDirs)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  message(STATUS "No build type was given: Release")
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

function(dbsa_plugin kind name)
  cmake_parse_arguments(ARG "" "VENDOR" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_VENDOR)
    set(ARG_VENDOR ${PROJECT_NAME})
    if(DBSA_PLUGIN_VENDOR)
      set(ARG_VENDOR ${DBSA_PLUGIN_VENDOR})
    endif()
  endif()
  set(folder ${CMAKE_BINARY_DIR}/plugins)
  if(DBSA_PLUGIN_DIR)
    set(folder ${DBSA_PLUGIN_DIR})
  endif()
  set(target ${kind}_${name})
  set(file ${ARG_VENDOR}_${kind}_${name})
  add_library(${target} MODULE ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES
    # The generator expression keeps multi-configuration generators from adding a folder per
    # configuration: library and manifest lie side by side.
    PREFIX "" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY $<1:${folder}>
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    # Otherwise the RUNPATH ends with an empty entry, the folder that the program is started in.
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH_USE_LINK_PATH ON)
  target_link_libraries(${target} PRIVATE dbsa_sdk ${ARG_LIBS})
  if(TARGET dbsa_compile_options)
    target_link_libraries(${target} PRIVATE dbsa_compile_options)
  endif()
  if(TARGET dbsa_plugins)
    add_dependencies(dbsa_plugins ${target})
  endif()
  # One exported symbol, never unloaded, no symbol left for later.
  target_link_options(${target} PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map -Wl,-z,nodelete -Wl,-z,now)
  if(NOT DBSA_SANITIZE AND NOT DBSA_BUILD_FUZZERS)  # their runtimes are in the program
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/plugin.toml ${folder}/${file}.plugin.toml COPYONLY)
  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/dbsa/plugins)
  install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/plugin.toml
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/dbsa/plugins RENAME ${file}.plugin.toml)
endfunction()
