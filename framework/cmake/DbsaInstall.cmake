# Installs what plugin authors and editors need, as the component `sdk`: headers, the CMake package,
# schemas. Nothing in it names a folder of the build machine, so the tree can be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dbsa)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/framework/abi/dbsa ${PROJECT_SOURCE_DIR}/framework/sdk/dbsa
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/schemas DESTINATION ${CMAKE_INSTALL_DATADIR}/dbsa
        COMPONENT sdk FILES_MATCHING PATTERN "*.json")
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/dbsa-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/dbsa-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# While the interface is 0.x host and plugin must agree exactly.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/dbsa-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dbsa-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/dbsa-config-version.cmake
              ${CMAKE_CURRENT_LIST_DIR}/DbsaPlugin.cmake ${CMAKE_CURRENT_LIST_DIR}/plugin.map
        DESTINATION ${package_dir} COMPONENT sdk)
