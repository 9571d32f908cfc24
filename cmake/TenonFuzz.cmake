# SPDX-License-Identifier: Apache-2.0
#
# tenon_add_fuzz: one harness, two builds.
#
#   tenon_add_fuzz(NAME name SOURCES file... [LIBS target...] [CORPUS dir...] [TIMEOUT seconds])
#
# SOURCES define LLVMFuzzerTestOneInput (declared in tests/fuzz/fuzz_target.h). With TENON_FUZZ (and
# clang) the target is a libFuzzer executable in ${CMAKE_BINARY_DIR}/fuzz; otherwise it is linked
# with a small driver that feeds it every file of CORPUS, as a ctest test labelled fuzz-replay.
if(TENON_FUZZ AND NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TENON_FUZZ needs clang; use the preset 'fuzz'")
endif()

function(tenon_add_fuzz)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;LIBS;CORPUS")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "tenon_add_fuzz: NAME and SOURCES, and nothing unknown:"
            " ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_executable(${arg_NAME} ${arg_SOURCES})
    target_include_directories(${arg_NAME} PRIVATE
        "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/tests")
    target_compile_definitions(${arg_NAME} PRIVATE _GNU_SOURCE)
    target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBS})
    tenon_target_defaults(${arg_NAME})
    if(TENON_FUZZ)
        set_target_properties(${arg_NAME} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
        target_link_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
        # scripts/fuzz.sh reads the list of targets and their seeds here.
        list(JOIN arg_CORPUS " " corpus)
        set_property(GLOBAL APPEND PROPERTY TENON_FUZZ_TARGETS "${arg_NAME} ${corpus}")
        return()
    endif()
    target_sources(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.c")
    if(arg_CORPUS)
        add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_CORPUS})
        set_tests_properties(${arg_NAME} PROPERTIES
            TIMEOUT ${arg_TIMEOUT} LABELS fuzz-replay ENVIRONMENT "${TENON_TEST_ENVIRONMENT}")
    endif()
endfunction()

# Writes the list that scripts/fuzz.sh runs; called once, after every harness is known.
function(tenon_write_fuzz_list)
    get_property(targets GLOBAL PROPERTY TENON_FUZZ_TARGETS)
    list(JOIN targets "\n" text)
    file(WRITE "${CMAKE_BINARY_DIR}/fuzz-targets.txt" "${text}\n")
endfunction()
