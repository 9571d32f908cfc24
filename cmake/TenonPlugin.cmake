# SPDX-License-Identifier: Apache-2.0
#
# tenon_add_plugin: builds a Tenon plugin the same way inside this project and, after
# find_package(Tenon), in a project of its own.
#
#   tenon_add_plugin(
#       NAME name                 file name stem: name.so and name.tenon.json
#       SOURCES file...
#       [LIBS target...]          libraries beside the ABI headers and the ABI helper
#       [VENDOR text] [DESCRIPTION text] [LICENSE spdx-id]
#       [REQUIRES_CPU feature...] CPU features the library is compiled for, e.g. avx2
#       [REQUIRES_PATH path...]   at least one of these must exist, e.g. /dev/dri
#       [STATIC]                  also build tenon::plugin_<name>_static, whose entry function is
#                                 tn_plugin_entry_1_<name>, for embedders that link plugins in
#       [OUTPUT_DIR dir]          where both files land; default TENON_PLUGIN_OUTPUT_DIR
#       [NO_INSTALL])             for tests: neither installed nor held to what shipped plugins are
#
# The targets are tenon_plugin_<name> (alias tenon::plugin_<name>) and tenon_plugin_<name>_manifest.
# Both files are installed in ${CMAKE_INSTALL_LIBDIR}/tenon/plugins. The manifest carries the SHA-256
# of the library: whoever changes the library afterwards (strip, patchelf) must write the manifest
# again with TenonManifest.cmake, which is why the library is installed byte for byte.
include_guard()
include(GNUInstallDirs)
# Beside where libtenon is built, as in an installation: it is found there without being told.
set(TENON_PLUGIN_OUTPUT_DIR "${CMAKE_BINARY_DIR}/lib/tenon/plugins")
set(TENON_PLUGIN_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

# Quotes one text as a JSON string.
function(_tenon_json_string out text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

# Quotes each of the given texts and joins them with commas.
function(_tenon_json_strings out)
    set(items "")
    foreach(text IN LISTS ARGN)
        _tenon_json_string(item "${text}")
        list(APPEND items "${item}")
    endforeach()
    list(JOIN items ", " joined)
    set(${out} "${joined}" PARENT_SCOPE)
endfunction()

function(_tenon_plugin_target target)
    target_link_libraries(${target} PRIVATE tenon::abi tenon::abi_helper ${ARGN})
    if(COMMAND tenon_target_defaults)
        tenon_target_defaults(${target})
    else()
        set_target_properties(${target} PROPERTIES
            C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
            POSITION_INDEPENDENT_CODE ON)
    endif()
endfunction()

function(_tenon_plugin_manifest target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME;VENDOR;DESCRIPTION;LICENSE;OUTPUT_DIR"
        "REQUIRES_CPU;REQUIRES_PATH")
    foreach(field IN ITEMS NAME VENDOR DESCRIPTION LICENSE)
        string(TOLOWER "${field}" key)
        _tenon_json_string(tenon_manifest_${key} "${arg_${field}}")
    endforeach()
    foreach(field IN ITEMS REQUIRES_CPU REQUIRES_PATH)
        string(TOLOWER "${field}" key)
        _tenon_json_strings(tenon_manifest_${key} ${arg_${field}})
    endforeach()
    string(TOLOWER "${CMAKE_SYSTEM_NAME}" tenon_manifest_os)
    string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" tenon_manifest_arch)

    set(template "${CMAKE_CURRENT_BINARY_DIR}/${arg_NAME}.tenon.json.in")
    set(manifest "${arg_OUTPUT_DIR}/${arg_NAME}.tenon.json")
    configure_file("${TENON_PLUGIN_CMAKE_DIR}/plugin.tenon.json.in" "${template}" @ONLY)
    add_custom_command(OUTPUT "${manifest}"
        COMMAND ${CMAKE_COMMAND} "-DLIBRARY=$<TARGET_FILE:${target}>" "-DTEMPLATE=${template}"
            "-DMANIFEST=${manifest}" -P "${TENON_PLUGIN_CMAKE_DIR}/TenonManifest.cmake"
        DEPENDS ${target} "${template}" "${TENON_PLUGIN_CMAKE_DIR}/TenonManifest.cmake"
        COMMENT "Writing manifest ${arg_NAME}.tenon.json"
        VERBATIM)
    add_custom_target(${target}_manifest ALL DEPENDS "${manifest}")
endfunction()

function(tenon_add_plugin)
    set(texts NAME VENDOR DESCRIPTION LICENSE OUTPUT_DIR)
    set(lists SOURCES LIBS REQUIRES_CPU REQUIRES_PATH)
    cmake_parse_arguments(PARSE_ARGV 0 arg "STATIC;NO_INSTALL" "${texts}" "${lists}")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tenon_add_plugin: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_NAME MATCHES "^[a-z][a-z0-9_-]*$" OR NOT arg_SOURCES)
        message(FATAL_ERROR "tenon_add_plugin: NAME ([a-z][a-z0-9_-]*) and SOURCES are required")
    endif()

    if(NOT arg_OUTPUT_DIR)
        set(arg_OUTPUT_DIR "${TENON_PLUGIN_OUTPUT_DIR}")
    endif()
    set(target tenon_plugin_${arg_NAME})
    set(version_script "${TENON_PLUGIN_CMAKE_DIR}/plugin.map")
    add_library(${target} MODULE ${arg_SOURCES})
    add_library(tenon::plugin_${arg_NAME} ALIAS ${target})
    _tenon_plugin_target(${target} ${arg_LIBS})
    # The same bytes must be right in the build tree and when installed: see the digest above.
    set_target_properties(${target} PROPERTIES
        PREFIX "" SUFFIX .so OUTPUT_NAME "${arg_NAME}"
        LIBRARY_OUTPUT_DIRECTORY "${arg_OUTPUT_DIR}"
        BUILD_WITH_INSTALL_RPATH ON
        LINK_DEPENDS "${version_script}")
    # One hash table, whatever the compiler's default: the smaller and stricter one.
    target_link_options(${target} PRIVATE
        "LINKER:--version-script=${version_script}" LINKER:--hash-style=gnu)
    if(NOT TENON_SANITIZE AND NOT TENON_FUZZ)
        # Sanitizer runtimes are resolved from the executable, so this check is off for them.
        target_link_options(${target} PRIVATE LINKER:--no-undefined)
    endif()
    _tenon_plugin_manifest(${target} NAME "${arg_NAME}" VENDOR "${arg_VENDOR}"
        DESCRIPTION "${arg_DESCRIPTION}" LICENSE "${arg_LICENSE}"
        OUTPUT_DIR "${arg_OUTPUT_DIR}"
        REQUIRES_CPU ${arg_REQUIRES_CPU} REQUIRES_PATH ${arg_REQUIRES_PATH})

    if(arg_STATIC)
        string(MAKE_C_IDENTIFIER "${arg_NAME}" identifier)
        add_library(${target}_static STATIC ${arg_SOURCES})
        add_library(tenon::plugin_${arg_NAME}_static ALIAS ${target}_static)
        _tenon_plugin_target(${target}_static ${arg_LIBS})
        target_compile_definitions(${target}_static PRIVATE
            tn_plugin_entry_1=tn_plugin_entry_1_${identifier})
    endif()
    if(NOT arg_NO_INSTALL)
        set_property(GLOBAL APPEND PROPERTY TENON_PLUGINS "${arg_NAME}")
        install(PROGRAMS "$<TARGET_FILE:${target}>" COMPONENT plugins
            DESTINATION "${CMAKE_INSTALL_LIBDIR}/tenon/plugins")
        install(FILES "${arg_OUTPUT_DIR}/${arg_NAME}.tenon.json" COMPONENT plugins
            DESTINATION "${CMAKE_INSTALL_LIBDIR}/tenon/plugins")
    endif()
endfunction()
