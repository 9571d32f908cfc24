# SPDX-License-Identifier: Apache-2.0
#
# The installed package: CMake package Tenon (tenon::core, tenon::abi, tenon::abi_helper and
# tenon_add_plugin) and tenon.pc. Targets and headers are installed by their own folders.
include(CMakePackageConfigHelpers)
set(_tenon_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Tenon")

configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/TenonConfig.cmake.in" "${PROJECT_BINARY_DIR}/TenonConfig.cmake"
    INSTALL_DESTINATION "${_tenon_package_dir}"
    PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/TenonConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(EXPORT TenonTargets NAMESPACE tenon:: DESTINATION "${_tenon_package_dir}")
install(FILES
    "${PROJECT_BINARY_DIR}/TenonConfig.cmake"
    "${PROJECT_BINARY_DIR}/TenonConfigVersion.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/TenonPlugin.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/TenonManifest.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/plugin.map"
    "${PROJECT_SOURCE_DIR}/cmake/plugin.tenon.json.in"
    DESTINATION "${_tenon_package_dir}")

# Relative to the .pc file's own folder where possible, so that a moved installation still works.
set(TENON_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(TENON_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
set(TENON_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
    set(TENON_PC_PREFIX "\${pcfiledir}/${to_prefix}")
    set(TENON_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(TENON_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# A shared libtenon brings its own dependencies; only a static one hands them on.
set(TENON_PC_PRIVATE "")
if(NOT BUILD_SHARED_LIBS)
    set(TENON_PC_PRIVATE "Libs.private: -ltenon_partitioner -lpthread -lm\nRequires.private: jansson libsodium\n")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/tenon.pc.in" "${PROJECT_BINARY_DIR}/tenon.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tenon.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
