/* Bad input, kind by kind: each gives its documented code, and afterwards the host is as it was and nothing is left. What a single function refuses beyond
 * that is in misuse.c. */
#include "host.h"

#include <dirent.h>
#include <sys/socket.h>

static teu_t *teu;
static teu_error_t *err;

/* A configuration for a container that waits, in the options. */
static struct teu_create_options good_options(void)
{
    static char *json;
    if (!json)
        json = config("bad", ",\"sleep\"", "", "");
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = json, .config_len = strlen(json)};
    return options;
}

static void refused_create(int code, struct teu_create_options *options)
{
    teu_container_t *out = (teu_container_t *)teu;
    BAD(code, teu_create(teu, "bad", options, &out, &err));
    CHECK(out == NULL);
    BAD(TEU_ENOTFOUND, teu_open(teu, "bad", &out, &err));
}

/* ---- NULL: the handles and places are in misuse.c; here what is within a struct ---- */

static void null(void)
{
    struct teu_create_options options = good_options();
    refused_create(TEU_EINVAL, NULL);
    options.bundle = NULL;
    refused_create(TEU_EINVAL, &options);
    options = good_options();
    options.config_json = NULL;
    refused_create(TEU_EINVAL, &options);
    options = good_options();
    options.n_fds = 1;
    refused_create(TEU_EINVAL, &options);
    options = good_options();
    options.n_env = 1;
    refused_create(TEU_EINVAL, &options);
    const char *nothing[] = {NULL};
    options.env = nothing;
    refused_create(TEU_EINVAL, &options);
    teu_container_t *out = NULL;
    options = good_options();
    BAD(TEU_EINVAL, teu_create(teu, NULL, &options, &out, &err));
    BAD(TEU_EINVAL, teu_create(teu, "bad", &options, NULL, &err));
}

/* ---- sizes of every struct that begins with one ---- */

static teu_container_t *container;
static teu_events_t *events;

static int as_options(void *s)
{
    teu_t *out = NULL;
    int result = teu_new(s, &out, &err);
    teu_unref(out);
    return result;
}

static int as_call(void *s)
{
    return teu_container_resume(container, s, &err);
}

static int as_create_options(void *s)
{
    teu_container_t *out = NULL;
    return teu_create(teu, "bad", s, &out, &err);
}

static int as_exec_options(void *s)
{
    teu_process_t *out = NULL;
    return teu_container_exec(container, s, &out, &err);
}

static int as_update_options(void *s)
{
    return teu_container_update(container, s, &err);
}

static int as_event_options(void *s)
{
    teu_events_t *out = NULL;
    int result = teu_events_open(container, s, &out, &err);
    teu_events_free(out);
    return result;
}

static int as_event(void *s)
{
    return teu_events_next(events, s, NULL, &err);
}

static int as_exit(void *s)
{
    struct teu_create_options none = {.size = sizeof none};
    return teu_run(teu, "bad", &none, s, &err);
}

static int as_state(void *s)
{
    return teu_container_state(container, s, &err);
}

static int as_stats(void *s)
{
    return teu_container_stats(container, s, &err);
}

struct sized {
    const char *name;
    size_t size;
    int (*give)(void *);
    /* What is written into it; what goes in is all zero, and a tail that is not is of a newer struct. */
    int is_result;
};

static const struct sized all[] = {
    {"teu_options", sizeof(struct teu_options), as_options, 0},
    {"teu_call", sizeof(struct teu_call), as_call, 0},
    {"teu_create_options", sizeof(struct teu_create_options), as_create_options, 0},
    {"teu_exec_options", sizeof(struct teu_exec_options), as_exec_options, 0},
    {"teu_update_options", sizeof(struct teu_update_options), as_update_options, 0},
    {"teu_event_options", sizeof(struct teu_event_options), as_event_options, 0},
    {"teu_event", sizeof(struct teu_event), as_event, 1},
    {"teu_exit", sizeof(struct teu_exit), as_exit, 1},
    {"teu_state", sizeof(struct teu_state), as_state, 1},
    {"teu_stats", sizeof(struct teu_stats), as_stats, 1},
};

enum { ROOM = 1024, GUARD = 0xa5 };

static void size_is(const struct sized *one, size_t size, int code)
{
    static _Alignas(8) unsigned char memory[ROOM];
    memset(memory, one->is_result ? GUARD : 0, sizeof memory);
    memcpy(memory, &size, sizeof size);
    int result = one->give(memory);
    if (result != code)
        fprintf(stderr, "%s of %zu bytes: %d, expected %d\n", one->name, size, result, code);
    CHECK(result == code && teu_error_code(err) == code && strstr(teu_error_message(err), one->name));
    teu_error_free(err);
    err = NULL;
    for (size_t i = sizeof size; one->is_result && i < sizeof memory; i++)
        CHECK(memory[i] == GUARD);
}

/* Nothing is written beyond what the caller has, whatever that is. */
static void guarded(const struct sized *one)
{
    static _Alignas(8) unsigned char memory[ROOM];
    for (size_t size = sizeof size; size <= one->size + 32; size += sizeof size) {
        memset(memory, GUARD, sizeof memory);
        memcpy(memory, &size, sizeof size);
        int result = one->give(memory);
        CHECK(one->give == as_exit ? result == TEU_EINVAL : result >= 0);
        teu_error_free(err);
        err = NULL;
        for (size_t i = size; i < sizeof memory; i++)
            CHECK(memory[i] == GUARD);
        CHECK(memcmp(memory, &size, sizeof size) == 0);
    }
}

static void newer(const struct sized *one)
{
    static _Alignas(8) unsigned char memory[ROOM];
    memset(memory, 0, sizeof memory);
    size_t size = one->size + 16;
    memcpy(memory, &size, sizeof size);
    memory[size] = 1; /* behind its end: not looked at */
    CHECK(one->give(memory) != TEU_E2BIG);
    teu_error_free(err);
    err = NULL;
    memory[size - 1] = 1;
    BAD(TEU_E2BIG, one->give(memory));
}

static void sizes(void)
{
    struct teu_create_options options = good_options();
    GOOD(teu_create(teu, "sizes", &options, &container, &err));
    GOOD(teu_container_start(container, NULL, &err));
    GOOD(teu_events_open(container, NULL, &events, &err));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        static const size_t garbage[] = {0, 1, 7, 9, 12};
        for (size_t g = 0; g < sizeof garbage / sizeof *garbage; g++)
            size_is(&all[i], garbage[g], TEU_EINVAL);
        size_is(&all[i], all[i].size + 1, TEU_EINVAL);
        size_is(&all[i], 4104, TEU_E2BIG);
        size_is(&all[i], SIZE_MAX - 7, TEU_E2BIG);
        if (all[i].is_result)
            guarded(&all[i]);
        else
            newer(&all[i]);
    }
    teu_events_free(events);
    removed(container);
}

/* ---- paths and texts ---- */

static void paths(void)
{
    struct teu_create_options options = good_options();
    options.bundle = "\xff\xfe/nothing";
    refused_create(TEU_EINVAL, &options);
    options.bundle = "";
    refused_create(TEU_EINVAL, &options);
    options = good_options();
    options.console_socket = "\xff/nobody";
    refused_create(TEU_EINVAL, &options); /* there is no terminal */
    options = good_options();
    options.pidfd_socket = "\xff/nobody";
    refused_create(TEU_ESYS, &options);
    const char *env[] = {"A=\xff"};
    options = good_options();
    options.env = env;
    options.n_env = 1;
    refused_create(TEU_EINVAL, &options);
    /* A path is bytes: this one is written. */
    char file[] = "/tmp/teu-bad-XXXXXX", odd[64];
    CHECK(mkdtemp(file));
    snprintf(odd, sizeof odd, "%s/\xff", file);
    options = good_options();
    options.pid_file = odd;
    teu_container_t *out = NULL;
    GOOD(teu_create(teu, "bad", &options, &out, &err));
    CHECK(access(odd, R_OK) == 0);
    removed(out);
    CHECK(unlink(odd) == 0 && rmdir(file) == 0);
    BAD(TEU_EINVAL, teu_create(teu, "\xff\xfe", &options, &out, &err));
}

/* ---- JSON ---- */

static void documents(void)
{
    static const struct {
        const char *json;
        size_t length;
    } wrong[] = {{"", 0}, {"{", 1}, {"{\0}", 3}, {"\0", 1}, {"{}\0", 3}, {"[]", 2}, {"\xff", 1},
                 {"{\"ociVersion\":\"1.3.0\",\"hostname\":\"a\\u0000b\"}", 44}, {"{\"ociVersion\":\"1.\xff\"}", 19}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct teu_create_options options = good_options();
        options.config_json = wrong[i].json;
        options.config_len = wrong[i].length;
        refused_create(TEU_ESPEC, &options);
        BAD(TEU_ESPEC, teu_validate(wrong[i].json, wrong[i].length, 0, &err));
    }
}

/* ---- descriptors ---- */

static void descriptors_of(int fd)
{
    struct teu_create_options options = good_options();
    options.flags = TEU_BUNDLE_FD;
    options.bundle = NULL;
    options.bundle_fd = fd;
    refused_create(TEU_EINVAL, &options);
    if (fd < 0 || fcntl(fd, F_GETFD) < 0) {
        struct teu_fd_map map = {5, fd};
        options = good_options();
        options.fds = &map;
        options.n_fds = 1;
        refused_create(TEU_EINVAL, &options);
        map.target = 1;
        refused_create(TEU_EINVAL, &options);
    }
    options = good_options();
    options.flags = TEU_PIDFD_SOCKET_FD;
    options.pidfd_socket_fd = fd;
    refused_create(TEU_EINVAL, &options);
    options = good_options();
    char *json = config("bad", ",\"sleep\"", ",\"terminal\":true", "");
    options.config_json = json;
    options.config_len = strlen(json);
    options.flags = TEU_CONSOLE_SOCKET_FD;
    options.console_socket_fd = fd;
    refused_create(TEU_EINVAL, &options);
    free(json);
}

static void bad_descriptors(void)
{
    int closed = open("/dev/null", O_RDONLY | O_CLOEXEC), file = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(closed);
    closed = 1000;
    descriptors_of(-1);
    descriptors_of(-1000);
    descriptors_of(closed);
    descriptors_of(file);
    CHECK(fcntl(file, F_GETFD) == FD_CLOEXEC);
    close(file);
    struct teu_create_options options = good_options();
    options.flags = TEU_PIDFD_SOCKET_FD;
    options.pidfd_socket_fd = 0;
    options.pidfd_socket = "/nobody";
    refused_create(TEU_EINVAL, &options);
}

/* ---- ids ---- */

static void ids(void)
{
    char longest[257];
    memset(longest, 'a', sizeof longest - 1);
    longest[256] = '\0';
    struct teu_create_options options = good_options();
    teu_container_t *out = NULL;
    BAD(TEU_EINVAL, teu_create(teu, longest, &options, &out, &err));
    BAD(TEU_EINVAL, teu_open(teu, longest, &out, &err));
    BAD(TEU_EINVAL, teu_delete(teu, longest, TEU_DELETE_FORCE, &err));
    BAD(TEU_EINVAL, teu_delete(teu, "../x", TEU_DELETE_FORCE, &err));
    longest[255] = '\0';
    GOOD(teu_create(teu, longest, &options, &out, &err));
    removed(out);
}

/* ---- cancelled before the start, and times ---- */

static void ends(void)
{
    teu_cancel_t *cancel = NULL;
    teu_process_t *process = NULL;
    teu_container_t *out = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_cancel_new(&cancel, &err));
    teu_cancel_trigger(cancel);
    struct teu_call cancelled = {.size = sizeof cancelled, .cancel = cancel}, past = {.size = sizeof past, .timeout_ns = 1},
                    zero = {.size = sizeof zero};
    const struct {
        const struct teu_call *call;
        int code;
    } over[] = {{&cancelled, TEU_ECANCELED}, {&past, TEU_ETIMEDOUT}};
    struct teu_create_options options = good_options();
    struct teu_exec_options exec = {.size = sizeof exec, .argv = (const char *[]){"/guest", "exit", "0"}, .argc = 3};
    struct teu_update_options update = {.size = sizeof update};
    for (int i = 0; i < 2; i++) {
        options.call = over[i].call;
        refused_create(over[i].code, &options);
        BAD(over[i].code, teu_run(teu, "bad", &options, &ended, &err));
    }
    options.call = &zero;
    GOOD(teu_create(teu, "bad", &options, &out, &err));
    for (int i = 0; i < 2; i++) {
        BAD(over[i].code, teu_container_start(out, over[i].call, &err));
        BAD(over[i].code, teu_container_wait(out, over[i].call, &ended, &err));
        CHECK(status(out) == TEU_CREATED);
    }
    GOOD(teu_container_start(out, &zero, &err));
    for (int i = 0; i < 2; i++) {
        exec.call = update.call = over[i].call;
        BAD(over[i].code, teu_container_exec(out, &exec, &process, &err));
        BAD(over[i].code, teu_container_update(out, &update, &err));
        BAD(over[i].code, teu_container_pause(out, over[i].call, &err));
        BAD(over[i].code, teu_container_add_mounts(out, "[]", 2, over[i].call, &err));
        BAD(over[i].code, teu_container_wait(out, over[i].call, &ended, &err));
        CHECK(status(out) == TEU_RUNNING && process == NULL);
    }
    exec.call = &zero;
    GOOD(teu_container_exec(out, &exec, &process, &err));
    GOOD(teu_process_wait(process, &zero, &ended, &err));
    teu_process_unref(process);
    teu_cancel_free(cancel);
    removed(out);
    /* Zero is the default of the context, which may be short. */
    struct teu_options hasty = {.size = sizeof hasty, .root = ROOT, .default_timeout_ns = 1};
    teu_t *quick = NULL;
    GOOD(teu_new(&hasty, &quick, &err));
    BAD(TEU_ETIMEDOUT, teu_create(quick, "bad", &options, &out, &err));
    options.call = NULL;
    BAD(TEU_ETIMEDOUT, teu_create(quick, "bad", &options, &out, &err));
    teu_unref(quick);
}

/* ---- what the host has, before and after ---- */

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* Our cgroups, in every hierarchy: the names are those of host.h. */
static int cgroups(void)
{
    char command[256];
    snprintf(command, sizeof command, "exit $(find /sys/fs/cgroup -maxdepth 3 -name teu-capi-%d 2>/dev/null | wc -l)", (int)getpid());
    return WEXITSTATUS(system(command));
}

static void seen(char *text, size_t size)
{
    char cwd[256];
    sigset_t mask;
    mode_t bits = umask(0);
    umask(bits);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(getcwd(cwd, sizeof cwd));
    snprintf(text, size, "fds %d, threads %d, containers %d, cgroups %d, umask %o, cwd %s, TERM %d, HOME %s", descriptors(), entries("/proc/self/task"),
             entries(ROOT) - 2, cgroups(), bits, cwd, sigismember(&mask, SIGTERM), getenv("HOME") ? getenv("HOME") : "-");
}

int main(void)
{
    static const struct {
        const char *what;
        void (*give)(void);
    } kinds[] = {{"NULL", null}, {"sizes", sizes}, {"paths", paths}, {"JSON", documents}, {"descriptors", bad_descriptors}, {"ids", ids}, {"ends", ends}};
    char before[1024], after[1024];
    teu = context();
    GOOD(teu_prepare(teu, &err));
    struct teu_create_options options = good_options();
    teu_container_t *first = NULL;
    GOOD(teu_create(teu, "first", &options, &first, &err));
    removed(first);
    seen(before, sizeof before);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        kinds[i].give();
        seen(after, sizeof after);
        if (strcmp(before, after) != 0)
            fprintf(stderr, "%s:\n%s\n%s\n", kinds[i].what, before, after);
        CHECK(strcmp(before, after) == 0);
    }
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    teu_unref(teu);
    return 0;
}
