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

configure_file("${PROJECT_SOURCE_DIR}/cmake/tenon.pc.in" "${PROJECT_BINARY_DIR}/tenon.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tenon.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
