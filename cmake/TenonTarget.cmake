# SPDX-License-Identifier: Apache-2.0
#
# What every compiled target of this project shares: language level, symbol visibility, warnings,
# sanitizers. tenon_target_defaults(TARGET) applies all of it.

add_library(tenon_warnings INTERFACE)
target_compile_options(tenon_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wdouble-promotion -Wswitch-enum
    $<$<BOOL:${TENON_WERROR}>:-Werror>)

add_library(tenon_sanitizers INTERFACE)
set(_tenon_sanitize "${TENON_SANITIZE}")
if(TENON_FUZZ)
    string(PREPEND _tenon_sanitize "fuzzer-no-link,")
    string(REGEX REPLACE ",$" "" _tenon_sanitize "${_tenon_sanitize}")
endif()
if(_tenon_sanitize)
    set(_tenon_sanitize_flags "-fsanitize=${_tenon_sanitize}" -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_compile_options(tenon_sanitizers INTERFACE ${_tenon_sanitize_flags})
    target_link_options(tenon_sanitizers INTERFACE ${_tenon_sanitize_flags})
endif()
if(TENON_COVERAGE)
    # Atomic, or tests with threads leave counts that make no sense.
    target_compile_options(tenon_sanitizers INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(tenon_sanitizers INTERFACE --coverage)
endif()

# An optimised build that keeps its asserts: CMake would define NDEBUG for RelWithDebInfo.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

if(NOT CMAKE_BUILD_TYPE AND PROJECT_IS_TOP_LEVEL)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

function(tenon_target_defaults target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 17
        C_STANDARD_REQUIRED ON
        C_EXTENSIONS OFF
        C_VISIBILITY_PRESET hidden
        POSITION_INDEPENDENT_CODE ON)
    # The same source must give the same numbers with every compiler: no implicit fused multiply-add.
    target_compile_options(${target} PRIVATE -ffp-contract=off -fstack-protector-strong)
    target_compile_definitions(${target} PRIVATE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
    target_link_libraries(${target} PRIVATE
        $<BUILD_INTERFACE:tenon_warnings> $<BUILD_INTERFACE:tenon_sanitizers>)
endfunction()
