// SPDX-License-Identifier: Apache-2.0
// Where this copy of Tenon keeps its plugins and its probe helper: relative to the library itself,
// so that a moved installation and a build tree work, then where the build was told to install.
#ifndef TENON_LOADER_INSTALLATION_H
#define TENON_LOADER_INSTALLATION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

// Writes the index-th folder of plugins, or "" where it cannot be known. Returns false when there
// is no such index. Any thread. In secure execution only the configured folder is named: a library
// or program that was linked into another folder must not choose what is loaded.
bool tni_installation_plugins(uint32_t index, bool secure_execution, char out_path[PATH_MAX]);

// The same for the probe helper.
bool tni_installation_probe(uint32_t index, bool secure_execution, char out_path[PATH_MAX]);

#endif // TENON_LOADER_INSTALLATION_H
