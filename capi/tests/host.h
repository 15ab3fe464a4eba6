/* What the C tests share: an engine that makes bundles. */
#ifndef HOST_H
#define HOST_H
#define _GNU_SOURCE
#include "teu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the test with the place and what was wrong. */
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* A call that must succeed; its error is shown. */
#define GOOD(call) good((call), &err, #call, __LINE__)
/* A call that must fail with this code; its error object must agree. */
#define BAD(code, call) bad((code), (call), &err, #call, __LINE__)

static inline int good(int result, teu_error_t **err, const char *what, int line)
{
    if (result < 0) {
        fprintf(stderr, "line %d: %s: %d %s: %s\n", line, what, result, teu_error_phase(*err), teu_error_message(*err));
        abort();
    }
    CHECK(*err == NULL);
    return result;
}

static inline void bad(int code, int result, teu_error_t **err, const char *what, int line)
{
    if (result != code || teu_error_code(*err) != code || teu_error_message(*err)[0] == '\0') {
        fprintf(stderr, "line %d: %s: %d (%s), expected %d\n", line, what, result, teu_error_message(*err), code);
        abort();
    }
    teu_error_free(*err);
    *err = NULL;
}

/* The bundle that the harness made, and a state root of our own. */
#define BUNDLE (getenv("TEU_TEST_BUNDLE"))
#define ROOT (getenv("TEU_TEST_ROOT"))

static inline teu_t *context(void)
{
    teu_error_t *err = NULL;
    teu_t *teu = NULL;
    struct teu_options options = {.size = sizeof options, .root = ROOT};
    GOOD(teu_new(&options, &teu, &err));
    return teu;
}

/* The child that makes a network runs in our memory beside us, and ThreadSanitizer takes the two for one thread. */
#ifdef __SANITIZE_THREAD__
#define NETWORK ""
#else
#define NETWORK ",{\"type\":\"network\"}"
#endif

/* A configuration whose program is the guest with these arguments (JSON strings after a comma) and these further members. */
static inline char *config(const char *id, const char *args, const char *process, const char *linux_members)
{
    static const char text[] =
        "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0},"
        "\"env\":[\"A=1\"],\"args\":[\"/guest\"%s]%s},\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
        "\"linux\":{\"cgroupsPath\":\"/teu-capi-%d/%s\",\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
        "{\"type\":\"uts\"}" NETWORK "]%s}}";
    char *json = NULL;
    CHECK(asprintf(&json, text, args, process, (int)getpid(), id, linux_members) > 0);
    return json;
}

/* A created container with the guest. */
static inline teu_container_t *created(teu_t *teu, const char *id, const char *args, struct teu_create_options *options)
{
    teu_error_t *err = NULL;
    teu_container_t *container = NULL;
    char *json = config(id, args, "", "");
    options->size = sizeof *options;
    options->bundle = BUNDLE;
    options->config_json = json;
    options->config_len = strlen(json);
    GOOD(teu_create(teu, id, options, &container, &err));
    CHECK(container != NULL);
    free(json);
    return container;
}

/* Ends and removes a container, and gives its handle back. */
static inline void removed(teu_container_t *container)
{
    teu_error_t *err = NULL;
    GOOD(teu_container_delete(container, TEU_DELETE_FORCE, NULL, &err));
    teu_container_unref(container);
}

static inline int status(teu_container_t *container)
{
    teu_error_t *err = NULL;
    struct teu_state state = {.size = sizeof state};
    GOOD(teu_container_state(container, &state, &err));
    return state.status;
}

/* What comes out of a pipe, up to its end. */
static inline char *content(int fd)
{
    static char text[4096];
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(fd);
    return text;
}

static inline int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
#endif
