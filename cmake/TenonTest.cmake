# SPDX-License-Identifier: Apache-2.0
#
# tenon_add_test: one cmocka executable, registered with ctest.
#
#   tenon_add_test(
#       NAME name
#       SOURCES file...
#       [LIBS target...]
#       [INCLUDES dir...]         extra private include folders
#       [DEFINITIONS def...]
#       [LABELS label...]         unit (default), integration, conformance, fuzz-replay, slow, ...
#       [ENVIRONMENT VAR=value...]
#       [TIMEOUT seconds])        default 60
#
# Every test sees these string macros: TN_TEST_PLUGIN_DIR (where built plugins lie), TN_TEST_PROBE
# (the probe helper), TN_TEST_CLI (the command line), TN_TEST_SOURCE_DIR (the repository). Headers
# are found relative to the repository root and to tests/.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET GLOBAL cmocka)

set(TENON_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")

function(tenon_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT"
        "SOURCES;LIBS;INCLUDES;DEFINITIONS;LABELS;ENVIRONMENT")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "tenon_add_test: NAME and SOURCES, and nothing unknown:"
            " ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_LABELS)
        set(arg_LABELS unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    target_include_directories(${arg_NAME} PRIVATE
        "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/tests" ${arg_INCLUDES})
    target_compile_definitions(${arg_NAME} PRIVATE
        _GNU_SOURCE
        TN_TEST_PLUGIN_DIR="${CMAKE_BINARY_DIR}/plugins"
        TN_TEST_PROBE="${CMAKE_BINARY_DIR}/bin/tenon-probe"
        TN_TEST_CLI="${CMAKE_BINARY_DIR}/bin/tenon"
        TN_TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
        ${arg_DEFINITIONS})
    target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA)
    tenon_target_defaults(${arg_NAME})
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
    set_tests_properties(${arg_NAME} PROPERTIES
        TIMEOUT ${arg_TIMEOUT}
        LABELS "${arg_LABELS}"
        ENVIRONMENT "${TENON_TEST_ENVIRONMENT};${arg_ENVIRONMENT}")
endfunction()
