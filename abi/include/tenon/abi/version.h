// SPDX-License-Identifier: Apache-2.0
// The version of the plugin ABI that these headers describe. The major number is part of the entry
// symbol's name; within one major, minors only append. Read next: status.h, then plugin.h.
#ifndef TENON_ABI_VERSION_H
#define TENON_ABI_VERSION_H

#define TN_ABI_VERSION_MAJOR 1
#define TN_ABI_VERSION_MINOR 0

// While 1, the layout may still change between commits; digests (digest.h) tell builds apart.
#define TN_ABI_DRAFT 1

#endif // TENON_ABI_VERSION_H
