// SPDX-License-Identifier: Apache-2.0
// A record is a text: what the verdict holds for, its date, and a digest of both. It is valid when
// the first part is byte for byte what would be written now, so nothing in it is ever parsed.
#include "loader/probe_record.h"

#include "base/hash.h"
#include "base/string.h"
#include "loader/probe/protocol.h"
#include "loader/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEX_BYTES (2 * TNI_DIGEST_BYTES + 1)
#define NAME_BYTES (HEX_BYTES + 16)
#define TEXT_BYTES (PATH_MAX + 1024u)
// "date 2026-01-31T23:59:59Z\n" and "check ...\n".
#define DATE_LINE_BYTES 26u
#define CHECK_LINE_BYTES (6u + 2 * TNI_DIGEST_BYTES + 1u)

static void digest_hex(const void *data, uint64_t size_bytes, char out_hex[HEX_BYTES]) {
    uint8_t bytes[TNI_DIGEST_BYTES];
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, data, size_bytes);
    tni_digest_final(&digest, bytes);
    (void)sodium_bin2hex(out_hex, HEX_BYTES, bytes, sizeof(bytes));
}

// One file for each path, so that what became stale is replaced.
static void name_of(const tni_probe_subject *subject, const char *ending, char out[NAME_BYTES]) {
    char hex[HEX_BYTES];
    digest_hex(subject->path, strlen(subject->path), hex);
    snprintf(out, NAME_BYTES, "probe-%.40s%s", hex, ending);
}

static long long nanoseconds(struct timespec time) {
    return (long long)time.tv_sec * 1000000000LL + time.tv_nsec;
}

// The part that has to be the same for the verdict to hold. Returns its size, or 0: too long.
static size_t describe(const tni_probe_subject *subject, char out_text[TEXT_BYTES]) {
    const tni_file *file = subject->library;
    char sha256[2 * TNI_SHA256_BYTES + 1];
    char manifest[HEX_BYTES];
    (void)sodium_bin2hex(sha256, sizeof(sha256), subject->manifest->sha256, TNI_SHA256_BYTES);
    (void)sodium_bin2hex(manifest, sizeof(manifest), subject->manifest->digest, TNI_DIGEST_BYTES);
    const int length = snprintf(
        out_text, TEXT_BYTES,
        "tenon probe record 1\nhost %s\nprotocol %u\npath %s\nsize %llu\nmodified %lld\n"
        "changed %lld\ndevice %llu\ninode %llu\nsha256 %s\nmanifest %s\n",
        TN_VERSION_TEXT, TNI_PROBE_PROTOCOL, subject->path, (unsigned long long)file->size_bytes,
        nanoseconds(file->modified), nanoseconds(file->changed), (unsigned long long)file->device,
        (unsigned long long)file->inode, sha256, manifest);
    return length > 0 && (size_t)length + DATE_LINE_BYTES + CHECK_LINE_BYTES < TEXT_BYTES
               ? (size_t)length
               : 0;
}

void tni_probe_records_open(tni_probe_records *records, const char *configured, bool off) {
    if (records->opened) {
        return;
    }
    *records = (tni_probe_records){.opened = true, .folder = -1};
    if (!off) {
        records->folder = tni_state_folder_open(configured, records->reason);
    }
}

void tni_probe_records_close(tni_probe_records *records) {
    if (records->opened && records->folder >= 0) {
        (void)close(records->folder);
    }
    *records = (tni_probe_records){.folder = -1};
}

// Returns the record's size, or 0 with a reason ("" when it is not there).
static size_t read_record(int folder, const char *name, char out_text[TEXT_BYTES],
                          char out_reason[TNI_STATE_REASON_BYTES]) {
    const size_t size = tni_state_file_read(folder, name, out_text, TEXT_BYTES, out_reason);
    if (size > 0 && size <= DATE_LINE_BYTES + CHECK_LINE_BYTES) {
        tni_state_say(out_reason, name, "it is cut off");
        return 0;
    }
    return size;
}

// Whether the record ends with the digest of what is before it.
static bool is_whole(const char *text, size_t size) {
    char line[CHECK_LINE_BYTES + 1];
    char hex[HEX_BYTES];
    digest_hex(text, size - CHECK_LINE_BYTES, hex);
    snprintf(line, sizeof(line), "check %s\n", hex);
    return memcmp(text + size - CHECK_LINE_BYTES, line, CHECK_LINE_BYTES) == 0;
}

bool tni_probe_record_take(const tni_probe_records *records, const tni_probe_subject *subject,
                           char out_date[TNI_RECORD_DATE_BYTES],
                           char out_reason[TNI_STATE_REASON_BYTES]) {
    char expected[TEXT_BYTES];
    char text[TEXT_BYTES];
    char name[NAME_BYTES];
    char aside[NAME_BYTES];
    out_date[0] = '\0';
    snprintf(out_reason, TNI_STATE_REASON_BYTES, "%s", records->reason);
    const size_t key = records->folder < 0 ? 0 : describe(subject, expected);
    if (key == 0) {
        return false;
    }
    name_of(subject, ".record", name);
    name_of(subject, ".aside", aside);
    const size_t size = read_record(records->folder, name, text, out_reason);
    if (size == 0) {
        return false;
    }
    if (!is_whole(text, size)) {
        tni_state_say(out_reason, name, "it is damaged");
        return false;
    }
    if (size != key + DATE_LINE_BYTES + CHECK_LINE_BYTES || memcmp(text, expected, key) != 0) {
        tni_state_say(out_reason, name, "something has changed since");
        return false;
    }
    if (renameat(records->folder, name, records->folder, aside) != 0) {
        tni_state_say_errno(out_reason, name, errno);
        return false;
    }
    snprintf(out_date, TNI_RECORD_DATE_BYTES, "%.*s", (int)(DATE_LINE_BYTES - 6), text + key + 5);
    tni_text_sanitise(out_date);
    return true;
}

void tni_probe_record_restore(const tni_probe_records *records, const tni_probe_subject *subject) {
    char name[NAME_BYTES];
    char aside[NAME_BYTES];
    name_of(subject, ".record", name);
    name_of(subject, ".aside", aside);
    // Another host that used it at the same time may have put it back already.
    (void)renameat(records->folder, aside, records->folder, name);
}

bool tni_probe_record_write(const tni_probe_records *records, const tni_probe_subject *subject,
                            char out_reason[TNI_STATE_REASON_BYTES]) {
    char text[TEXT_BYTES];
    char hex[HEX_BYTES];
    char name[NAME_BYTES];
    struct tm parts;
    const time_t now = time(NULL);
    out_reason[0] = '\0';
    size_t size = records->folder < 0 ? 0 : describe(subject, text);
    if (size == 0 || gmtime_r(&now, &parts) == NULL) {
        return false;
    }
    if (strftime(text + size, TEXT_BYTES - size, "date %Y-%m-%dT%H:%M:%SZ\n", &parts) !=
        DATE_LINE_BYTES) {
        return false;
    }
    size += DATE_LINE_BYTES;
    digest_hex(text, size, hex);
    size += (size_t)snprintf(text + size, TEXT_BYTES - size, "check %s\n", hex);
    name_of(subject, ".record", name);
    return tni_state_file_write(records->folder, name, text, size, out_reason);
}
