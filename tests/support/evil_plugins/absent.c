// SPDX-License-Identifier: Apache-2.0
// A library that a plugin is linked with and that is nowhere to be found when it is opened.
int tenon_test_absent(void);

__attribute__((visibility("default"))) int tenon_test_absent(void) {
    return 0;
}
