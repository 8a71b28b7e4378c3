# Installs the component `sdk`, moves it, builds the plugin against it, installs and loads that; the
# build type is left out, as an author may.
macro(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${text}")
  endif()
endmacro()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved)
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G ${GENERATOR} -D CMAKE_CXX_COMPILER=${COMPILER}
    -D CMAKE_PREFIX_PATH=${WORK}/moved)
file(STRINGS ${WORK}/build/CMakeCache.txt build_type REGEX "^CMAKE_BUILD_TYPE:")
if(NOT build_type STREQUAL "CMAKE_BUILD_TYPE:STRING=Release")
  message(FATAL_ERROR "without a build type: expected Release, found ${build_type}")
endif()
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_COMMAND} --install ${WORK}/build --prefix ${WORK}/other)
run(${LOADER} ${WORK}/build/plugins)
message(STATUS "${text}")
file(GLOB_RECURSE installed ${WORK}/other/*acme_retriever_first.so)
get_filename_component(folder "${installed}" DIRECTORY)
run(${LOADER} ${folder})

# A generator of several configurations puts the library beside its manifest, too.
if(GENERATOR STREQUAL "Ninja")
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/multi -G "Ninja Multi-Config"
      -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_PREFIX_PATH=${WORK}/moved)
  run(${CMAKE_COMMAND} --build ${WORK}/multi --config Debug)
  run(${LOADER} ${WORK}/multi/plugins)
endif()
