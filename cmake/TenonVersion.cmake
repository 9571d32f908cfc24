# SPDX-License-Identifier: Apache-2.0
#
# Reads the ABI version out of the header that defines it, so that there is one place to change.
# Sets TENON_ABI_MAJOR and TENON_ABI_MINOR.
set(_tenon_version_header "${PROJECT_SOURCE_DIR}/abi/include/tenon/abi/version.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_tenon_version_header}")
file(READ "${_tenon_version_header}" _tenon_version_text)
foreach(part IN ITEMS MAJOR MINOR)
    if(NOT _tenon_version_text MATCHES "#define[ ]+TN_ABI_VERSION_${part}[ ]+([0-9]+)")
        message(FATAL_ERROR "${_tenon_version_header} does not define TN_ABI_VERSION_${part}")
    endif()
    set(TENON_ABI_${part} "${CMAKE_MATCH_1}")
endforeach()
