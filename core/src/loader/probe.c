// SPDX-License-Identifier: Apache-2.0
// Starting the probe helper, waiting for it, and saying how it ended.
#include "loader/probe.h"

#include "base/clock.h"
#include "base/error.h"
#include "loader/installation.h"
#include "loader/probe_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_BYTES 4096u
// How often a wait looks whether the child is gone: another process may hold the pipe open.
#define POLL_MS 20
// A killed process that a driver holds in the kernel is not waited for any longer than this.
#define REAP_NS 2000000000ull

// One probe under way. Zeroed or -1 where not there.
typedef struct session {
    int read_end;
    int write_end;
    int step_file;
    const volatile uint32_t *step;
    pid_t child;
    bool ended;
    bool status_known; // somebody else in this process may have taken it
    int exit_status;
    tni_probe_output output;
} session;

tn_status tni_probe_find(const char *configured, bool secure_execution, char out_path[PATH_MAX],
                         tn_error *error) {
    char looked[320] = "";
    size_t used = 0;
    for (uint32_t i = 0;; i++) {
        if (configured != NULL) {
            snprintf(out_path, PATH_MAX, "%s", configured);
        } else if (!tni_installation_probe(i, secure_execution, out_path)) {
            break;
        }
        if (out_path[0] != '\0' && access(out_path, X_OK) == 0) {
            return TN_OK;
        }
        if (out_path[0] != '\0' && used < sizeof(looked)) {
            const int length = snprintf(looked + used, sizeof(looked) - used, "%s%.150s",
                                        used == 0 ? "" : ", ", out_path);
            used += length < 0 ? 0 : (size_t)length;
        }
        if (configured != NULL) {
            break;
        }
    }
    out_path[0] = '\0';
    return tni_fail(error, TN_ERROR_NOT_FOUND, "probe.helper-missing",
                    "a plugin that was found is tried in a helper process first, and there is no "
                    "helper: %s",
                    looked);
}

// Moves a descriptor above those that the child gets, so that setting those up cannot overwrite it.
static bool lift(int *inout_descriptor) {
    const int lifted = fcntl(*inout_descriptor, F_DUPFD_CLOEXEC, 16);
    (void)close(*inout_descriptor);
    *inout_descriptor = lifted;
    return lifted >= 0;
}

static bool open_session(session *own) {
    int ends[2];
    void *page = MAP_FAILED;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    own->read_end = ends[0];
    own->write_end = ends[1];
    // The child's end blocks as usual.
    if (!lift(&own->write_end) || fcntl(own->write_end, F_SETFL, 0) != 0) {
        return false;
    }
    own->step_file = memfd_create("tenon-probe", MFD_CLOEXEC);
    if (own->step_file < 0 || !lift(&own->step_file) ||
        ftruncate(own->step_file, STEP_BYTES) != 0) {
        return false;
    }
    page = mmap(NULL, STEP_BYTES, PROT_READ, MAP_SHARED, own->step_file, 0);
    own->step = page == MAP_FAILED ? NULL : page;
    return own->step != NULL;
}

static void close_one(int *inout_descriptor) {
    if (*inout_descriptor >= 0) {
        (void)close(*inout_descriptor);
    }
    *inout_descriptor = -1;
}

static void close_session(session *own) {
    close_one(&own->read_end);
    close_one(&own->write_end);
    close_one(&own->step_file);
    if (own->step != NULL) {
        (void)munmap((void *)(uintptr_t)own->step, STEP_BYTES);
        own->step = NULL;
    }
}

static int add_actions(posix_spawn_file_actions_t *actions, const session *own) {
    int failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failed == 0) {
        failed = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (failed == 0) {
        failed = posix_spawn_file_actions_adddup2(actions, own->write_end, STDERR_FILENO);
    }
    if (failed == 0) {
        failed = posix_spawn_file_actions_adddup2(actions, own->write_end, TNI_PROBE_OUTPUT);
    }
    if (failed == 0) {
        failed = posix_spawn_file_actions_adddup2(actions, own->step_file, TNI_PROBE_STEP);
    }
    // The embedder's own files are none of the plugin's business.
    if (failed == 0) {
        failed = posix_spawn_file_actions_addclosefrom_np(actions, TNI_PROBE_STEP + 1);
    }
    return failed;
}

// A process group of its own, so that whatever the plugin starts can be ended with it; signals as
// in a fresh process.
static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t all;
    sigset_t none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int failed = posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (failed == 0) {
        failed = posix_spawnattr_setpgroup(attributes, 0);
    }
    if (failed == 0) {
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    }
    return failed == 0 ? posix_spawnattr_setsigmask(attributes, &none) : failed;
}

// The result is an errno number. posix_spawn takes texts without const and does not change them.
static int spawn(session *own, const char *helper, const char *library, bool secure_execution) {
    char *const arguments[] = {(char *)(uintptr_t)helper, (char *)(uintptr_t)TNI_PROBE_OPTION,
                               (char *)(uintptr_t)library, NULL};
    char *const nothing[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) {
        return failed;
    }
    failed = posix_spawnattr_init(&attributes);
    if (failed == 0) {
        failed = add_actions(&actions, own);
        if (failed == 0) {
            failed = set_attributes(&attributes);
        }
        if (failed == 0) {
            failed = posix_spawn(&own->child, helper, &actions, &attributes, arguments,
                                 secure_execution ? nothing : environ);
        }
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

// Takes the exit status if there is one.
static void look(session *own) {
    int status = 0;
    const pid_t got = waitpid(own->child, &status, WNOHANG);
    if (got == own->child) {
        own->ended = true;
        own->status_known = true;
        own->exit_status = status;
    } else if (got < 0 && errno == ECHILD) {
        own->ended = true;
    }
}

// Returns false when no more will come.
static bool read_some(session *own) {
    char bytes[1024];
    for (;;) {
        const ssize_t got = read(own->read_end, bytes, sizeof(bytes));
        if (got > 0) {
            tni_probe_output_add(&own->output, bytes, (size_t)got);
            continue;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
}

static void wait_until(session *own, uint64_t deadline_ns, bool until_silent) {
    bool open = until_silent;
    while (!own->ended && tni_clock_ns() < deadline_ns) {
        struct pollfd wanted = {.fd = open ? own->read_end : -1, .events = POLLIN};
        // Once it is silent it is about to be gone.
        (void)poll(&wanted, 1, open ? POLL_MS : 1);
        open = open && read_some(own);
        look(own);
    }
    (void)read_some(own);
}

static const char *step_text(uint32_t step) {
    switch (step) {
    case TNI_PROBE_STEP_START:
        return "start";
    case TNI_PROBE_STEP_SHUTDOWN:
        return "shutdown";
    case TNI_PROBE_STEP_CLOSE:
        return "close";
    case TNI_PROBE_STEP_EXIT:
        return "exit";
    default:
        return tn_load_stage_text(step);
    }
}

// "; its last words: ..." or nothing.
static void last_words(const session *own, char out_text[200]) {
    out_text[0] = '\0';
    if (own->output.last_words[0] != '\0') {
        snprintf(out_text, 200, "; its last words: %s", own->output.last_words);
    }
}

static tn_status judge_death(const session *own, tn_error *error) {
    char words[200];
    const char *step = step_text(*own->step);
    last_words(own, words);
    if (!own->status_known) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "probe.lost",
                        "the probe ended in stage %s, and its exit status was taken by another "
                        "part of the program%s",
                        step, words);
    }
    if (WIFSIGNALED(own->exit_status)) {
        const int number = WTERMSIG(own->exit_status);
        const char *name = sigabbrev_np(number);
        return tni_fail(error, TN_ERROR_INVALID_DATA, "probe.signal",
                        "the probe died with signal %d (SIG%s) in stage %s%s", number,
                        name == NULL ? "?" : name, step, words);
    }
    return tni_fail(error, TN_ERROR_INVALID_DATA, "probe.exit",
                    "the probe ended with exit code %d in stage %s%s",
                    WEXITSTATUS(own->exit_status), step, words);
}

static tn_status judge(const session *own, tn_reason *out_reason, tn_error *error) {
    const tni_probe_result *result = &own->output.result;
    const bool good_end =
        !own->status_known || (WIFEXITED(own->exit_status) && WEXITSTATUS(own->exit_status) == 0);
    *out_reason = TN_REASON_NOT_USABLE;
    if (!good_end || !result->present) {
        return judge_death(own, error);
    }
    if (result->status == TN_OK) {
        *out_reason = TN_REASON_NONE;
        return TN_OK;
    }
    *out_reason = result->reason < TN_REASON_COUNT ? result->reason : TN_REASON_NOT_USABLE;
    return tni_fail(error, result->status, result->id, "in the probe's stage %s: %s",
                    step_text(result->stage), result->text);
}

static tn_status run(session *own, const char *helper, const char *library, uint64_t timeout_ns,
                     bool secure_execution, tn_reason *out_reason, tn_error *error) {
    if (!open_session(own)) {
        return tni_fail_errno(error, errno, "probe.start", "a pipe to the probe");
    }
    const int failed = spawn(own, helper, library, secure_execution);
    close_one(&own->write_end);
    if (failed != 0) {
        return tni_fail_errno(error, failed, "probe.start", "%.300s", helper);
    }
    wait_until(own, tni_clock_deadline(timeout_ns), true);
    if (!own->ended) {
        const uint32_t step = *own->step;
        (void)kill(-own->child, SIGKILL);
        (void)kill(own->child, SIGKILL);
        wait_until(own, tni_clock_deadline(REAP_NS), false);
        char words[200];
        last_words(own, words);
        return tni_fail(error, TN_ERROR_TIMEOUT, "probe.timeout",
                        "the probe did not finish within %llu ms and was killed in stage %s%s",
                        (unsigned long long)(timeout_ns / 1000000u), step_text(step), words);
    }
    // Whatever the plugin left running.
    (void)kill(-own->child, SIGKILL);
    tni_probe_output_end(&own->output);
    return judge(own, out_reason, error);
}

tn_status tni_probe_run(const tni_alloc *alloc, const char *helper, const char *library,
                        uint64_t timeout_ns, bool secure_execution, tn_reason *out_reason,
                        tn_error *error) {
    *out_reason = TN_REASON_NOT_USABLE;
    session *own = tni_alloc_zeroed(alloc, sizeof(*own));
    if (own == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a probe");
    }
    own->read_end = -1;
    own->write_end = -1;
    own->step_file = -1;
    tn_status status = run(own, helper, library, timeout_ns, secure_execution, out_reason, error);
    close_session(own);
    tni_free(alloc, own, sizeof(*own));
    return status;
}
