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
# Tests run with XDG_CACHE_HOME inside the build tree. Every test sees these string macros:
# TN_TEST_PLUGIN_DIR (where built plugins lie), TN_TEST_PROBE (the probe helper), TN_TEST_CLI (the
# command line), TN_TEST_SOURCE_DIR (the repository). Headers are found relative to the repository
# root and to tests/.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET GLOBAL cmocka)

set(TENON_TEST_ENVIRONMENT
    # GCC 12's LeakSanitizer takes the storage that a thread has of an opened library for another
    # layout where it lies 16 bytes into a page, and faults. With at least 256 bytes before each
    # block none lies there.
    "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:redzone=256"
    "UBSAN_OPTIONS=print_stacktrace=1"
    # Leaks inside drivers are theirs: left out by the name of the library, or by that of the C++
    # library, which nothing of ours uses. Any test may open them.
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/drivers.lsan:print_suppressions=0"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
    # Nothing a test does may end up in the cache of whoever runs it.
    "XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/tests/cache")

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
        TN_TEST_PLUGIN_DIR="${TENON_PLUGIN_OUTPUT_DIR}"
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

# tenon_add_python_test: a test written in Python.
#
#   tenon_add_python_test(NAME name SCRIPT file [ARGS arg...] [LABELS label...] [TIMEOUT seconds]
#       [VENV])
#
# Without VENV it runs with the system's interpreter and may use the standard library only. With
# VENV it runs in .venv (made by scripts/setup.sh: numpy, onnx, onnxruntime, scikit-learn) and is
# reported as skipped where that is missing.
find_program(TENON_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
set(TENON_VENV_PYTHON "${PROJECT_SOURCE_DIR}/.venv/bin/python")
# The newest ONNX node tests; tests that read them require the fixture onnx_newest.
set(TENON_ONNX_NODE_TESTS "${PROJECT_SOURCE_DIR}/.venv/onnx-node-tests")

function(tenon_add_python_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "VENV" "NAME;SCRIPT;TIMEOUT" "ARGS;LABELS")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SCRIPT)
        message(FATAL_ERROR "tenon_add_python_test: NAME and SCRIPT, and nothing unknown:"
            " ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_LABELS)
        set(arg_LABELS integration)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    cmake_path(ABSOLUTE_PATH arg_SCRIPT BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    if(NOT arg_VENV)
        add_test(NAME ${arg_NAME} COMMAND "${TENON_PYTHON}" "${arg_SCRIPT}" ${arg_ARGS})
    else()
        # Decided when the test runs, since .venv may be made after the build was configured.
        add_test(NAME ${arg_NAME} COMMAND sh -c
            "test -x \"$0\" || { echo \"skipped: $0 is missing\"; exit 77; }; exec \"$0\" \"$@\""
            "${TENON_VENV_PYTHON}" "${arg_SCRIPT}" ${arg_ARGS})
    endif()
    set_tests_properties(${arg_NAME} PROPERTIES
        TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" SKIP_RETURN_CODE 77
        ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;${TENON_TEST_ENVIRONMENT}")
endfunction()
