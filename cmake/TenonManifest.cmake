# SPDX-License-Identifier: Apache-2.0
#
# Script: writes MANIFEST from TEMPLATE with the SHA-256 of LIBRARY.
#   cmake -DLIBRARY=name.so -DTEMPLATE=name.tenon.json.in -DMANIFEST=name.tenon.json \
#         -P TenonManifest.cmake
foreach(name IN ITEMS LIBRARY TEMPLATE MANIFEST)
    if(NOT DEFINED ${name})
        message(FATAL_ERROR "TenonManifest: -D${name}=... is missing")
    endif()
endforeach()
file(SHA256 "${LIBRARY}" digest)
file(READ "${TEMPLATE}" text)
string(REPLACE "%SHA256%" "${digest}" text "${text}")
file(WRITE "${MANIFEST}" "${text}")
