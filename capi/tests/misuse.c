/* What C lets a caller do wrong: every function with NULL, with garbage sizes and flags, with stale handles and handles of another kind. Each gives the
 * documented code, and nothing is left. */
#include "host.h"

#include <pthread.h>

#define STALE(type) ((type *)(uintptr_t)0x5a5a5a5a)

static const char json[] = "{\"ociVersion\":\"1.3.0\"";

static void nothing_at_all(void)
{
    teu_error_t *err = NULL;
    size_t len = 7;
    char *text = (char *)"x";
    BAD(TEU_EINVAL, teu_new(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_prepare(NULL, &err));
    BAD(TEU_EINVAL, teu_cancel_new(NULL, &err));
    BAD(TEU_EINVAL, teu_create(NULL, NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_open(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_run(NULL, NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_delete(NULL, NULL, 0, &err));
    BAD(TEU_EINVAL, teu_plan_text(NULL, NULL, NULL, &text, &len, &err));
    CHECK(text == NULL && len == 0);
    BAD(TEU_EINVAL, teu_container_state(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_state_json(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_start(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_kill(NULL, 9, 0, &err));
    BAD(TEU_EINVAL, teu_container_delete(NULL, 0, NULL, &err));
    BAD(TEU_EINVAL, teu_container_pause(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_resume(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_wait(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_pidfd(NULL, &err));
    BAD(TEU_EINVAL, teu_container_take_console(NULL, &err));
    BAD(TEU_EINVAL, teu_container_ps(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_cgroup(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_stats(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_stats_json(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_update(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_exec(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_container_take_seccomp_notify(NULL, &err));
    BAD(TEU_EINVAL, teu_container_bind_notify_socket(NULL, &err));
    BAD(TEU_EINVAL, teu_container_add_mounts(NULL, NULL, 0, NULL, &err));
    BAD(TEU_EINVAL, teu_container_remove_mounts(NULL, NULL, 0, NULL, &err));
    BAD(TEU_EINVAL, teu_process_take_seccomp_notify(NULL, &err));
    BAD(TEU_EINVAL, teu_events_open(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_events_next(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_process_pidfd(NULL, &err));
    BAD(TEU_EINVAL, teu_process_take_console(NULL, &err));
    BAD(TEU_EINVAL, teu_process_kill(NULL, 9, &err));
    BAD(TEU_EINVAL, teu_process_wait(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_list(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_list_next(NULL, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_list_json(NULL, &text, NULL, &err));
    BAD(TEU_EINVAL, teu_features_json(NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_spec_json(0, NULL, NULL, &err));
    BAD(TEU_EINVAL, teu_validate(NULL, 0, 0, &err));
    CHECK(teu_ref(NULL) == NULL && teu_container_ref(NULL) == NULL && teu_process_ref(NULL) == NULL);
    CHECK(teu_events_fd(NULL) == -1);
    CHECK(teu_container_id(NULL) == NULL && teu_process_pid(NULL) == -1 && teu_cancel_fd(NULL) == -1);
    CHECK(teu_error_code(NULL) == 0 && teu_error_errno(NULL) == 0 && teu_error_depth(NULL) == 0);
    CHECK(teu_error_message(NULL)[0] == '\0' && teu_error_phase(NULL)[0] == '\0' && teu_error_pointer(NULL) == NULL);
    CHECK(teu_error_frame(NULL, 0) == NULL && teu_error_json(NULL) == NULL);
    teu_unref(NULL), teu_container_unref(NULL), teu_process_unref(NULL), teu_list_free(NULL);
    teu_events_free(NULL), teu_cancel_free(NULL), teu_cancel_trigger(NULL), teu_error_free(NULL), teu_free(NULL);
    /* Without a place for the error there is still the code. */
    CHECK(teu_container_start(NULL, NULL, NULL) == TEU_EINVAL);
}

static void stale_handles(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_cancel_t *cancel = NULL;
    teu_list_t *list = NULL;
    teu_container_t *out = NULL;
    const char *id = NULL;
    struct teu_state state = {.size = sizeof state};
    GOOD(teu_cancel_new(&cancel, &err));
    int fd = teu_cancel_fd(cancel);
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    teu_cancel_free(cancel);
    teu_cancel_free(cancel);
    teu_cancel_trigger(cancel);
    CHECK(teu_cancel_fd(cancel) == -1);
    struct teu_call call = {.size = sizeof call, .cancel = cancel};
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .call = &call};
    BAD(TEU_EINVAL, teu_create(teu, "stale", &options, &out, &err));
    GOOD(teu_list(teu, &list, &err));
    teu_list_free(list);
    BAD(TEU_EINVAL, teu_list_next(list, &id, &state, &err));
    BAD(TEU_EINVAL, teu_container_state((teu_container_t *)teu, &state, &err));
    BAD(TEU_EINVAL, teu_container_start(STALE(teu_container_t), NULL, &err));
    BAD(TEU_EINVAL, teu_process_kill(STALE(teu_process_t), 9, &err));
    teu_container_unref((teu_container_t *)teu);
    teu_error_free((teu_error_t *)teu);
    GOOD(teu_prepare(teu, &err));
    teu_t *other = context();
    CHECK(teu_ref(other) == other);
    teu_unref(other);
    GOOD(teu_prepare(other, &err));
    teu_unref(other);
    BAD(TEU_EINVAL, teu_prepare(other, &err));
}

static void structs(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_container_t *out = NULL;
    struct { struct teu_create_options options; uint64_t tail[4]; } grown = {.options = {.size = sizeof grown, .bundle = "/nothing"}};
    BAD(TEU_EINVAL, teu_create(teu, "x", &grown.options, &out, &err));
    grown.tail[3] = 1;
    BAD(TEU_E2BIG, teu_create(teu, "x", &grown.options, &out, &err));
    static const size_t garbage[] = {0, 1, 7, 9, sizeof(struct teu_create_options) + 1};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        grown.options.size = garbage[i];
        BAD(TEU_EINVAL, teu_create(teu, "x", &grown.options, &out, &err));
    }
    grown.options.size = SIZE_MAX - 7;
    BAD(TEU_E2BIG, teu_create(teu, "x", &grown.options, &out, &err));
    /* One of the first version's beginning only: a bundle it does not have. */
    struct teu_create_options brief = {.size = 16};
    BAD(TEU_EINVAL, teu_create(teu, "x", &brief, &out, &err));
    struct teu_options context_options = {.size = sizeof context_options, .flags = 1ull << 40};
    teu_t *none = teu;
    BAD(TEU_EINVAL, teu_new(&context_options, &none, &err));
    CHECK(none == NULL);
    context_options = (struct teu_options){.size = sizeof context_options, .flags = TEU_SYSTEMD_CGROUP | TEU_NO_CGROUP};
    BAD(TEU_EINVAL, teu_new(&context_options, &none, &err));
    context_options = (struct teu_options){.size = sizeof context_options, .root = ""};
    BAD(TEU_EINVAL, teu_new(&context_options, &none, &err));
    context_options = (struct teu_options){.size = sizeof context_options, .log_level = 9};
    BAD(TEU_EINVAL, teu_new(&context_options, &none, &err));
}

static void arguments(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_container_t *out = NULL;
    char long_id[2048];
    memset(long_id, 'a', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    const char *ids[] = {"", ".", "..", "a/b", "a b", "\xff", long_id};
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        BAD(TEU_EINVAL, teu_create(teu, ids[i], &options, &out, &err));
        BAD(TEU_EINVAL, teu_open(teu, ids[i], &out, &err));
    }
    BAD(TEU_ENOTFOUND, teu_open(teu, "nobody", &out, &err));
    CHECK(out == NULL);
    options.flags = 1ull << 63;
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    options.flags = TEU_BUNDLE_FD;
    options.bundle = NULL;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int descriptors_of_nothing[] = {-1, 999, file};
    for (size_t i = 0; i < 3; i++) {
        options.bundle_fd = descriptors_of_nothing[i];
        BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    }
    close(file);
    options = (struct teu_create_options){.size = sizeof options, .bundle = "\xff\xfe/nothing"};
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    options = (struct teu_create_options){.size = sizeof options, .bundle = BUNDLE};
    struct teu_fd_map maps[] = {{1, 2}, {1, 2}, {3, -1}, {-1, 2}, {3, 999}, {3, 2}, {3, 2}};
    for (size_t i = 0; i < 3; i++) {
        options.fds = maps + 2 * i;
        options.n_fds = i == 1 ? 1 : 2;
        BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    }
    options.fds = maps + 5;
    options.n_fds = 2;
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    options.fds = NULL;
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    options.n_fds = SIZE_MAX;
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
}

static void configurations(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_container_t *out = NULL;
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = json, .config_len = sizeof json - 1};
    BAD(TEU_ESPEC, teu_create(teu, "x", &options, &out, &err));
    options.config_json = "{\"ociVersion\":\"1.3.0\",\"hostname\":\"a\\u0000b\"}";
    options.config_len = strlen(options.config_json);
    CHECK(teu_create(teu, "x", &options, &out, &err) == TEU_ESPEC);
    CHECK(strcmp(teu_error_pointer(err), "/hostname") == 0 && strcmp(teu_error_phase(err), "spec") == 0);
    CHECK(teu_error_depth(err) == 1 && teu_error_frame(err, 0) != NULL && teu_error_frame(err, 1) == NULL);
    char *text = teu_error_json(err);
    CHECK(strstr(text, "\"code\":-8") && strstr(text, "\"name\":\"TEU_ESPEC\"") && strstr(text, "\"pointer\":\"/hostname\""));
    teu_free(text);
    teu_error_free(err);
    err = NULL;
    options.config_json = "{\0}";
    options.config_len = 3;
    BAD(TEU_ESPEC, teu_create(teu, "x", &options, &out, &err));
    options.config_json = NULL;
    BAD(TEU_EINVAL, teu_create(teu, "x", &options, &out, &err));
    BAD(TEU_ESPEC, teu_validate("[]", 2, 0, &err));
    BAD(TEU_EINVAL, teu_validate("{}", 2, 1, &err));
    char *document = NULL;
    size_t len = 0;
    GOOD(teu_spec_json(0, &document, &len, &err));
    GOOD(teu_validate(document, len, 0, &err));
    teu_free(document);
    BAD(TEU_EINVAL, teu_spec_json(2, &document, &len, &err));
    GOOD(teu_features_json(&document, &len, &err));
    CHECK(len == strlen(document) && strstr(document, "\"ociVersionMax\""));
    teu_free(document);
}

static void time_and_cancellation(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_container_t *out = NULL;
    teu_cancel_t *cancel = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_cancel_new(&cancel, &err));
    struct teu_call past = {.size = sizeof past, .timeout_ns = 1}, cancelled = {.size = sizeof cancelled, .cancel = cancel};
    struct teu_create_options options = {.call = &past};
    char *text = config("late", ",\"sleep\"", "", "");
    options.size = sizeof options, options.bundle = BUNDLE, options.config_json = text, options.config_len = strlen(text);
    BAD(TEU_ETIMEDOUT, teu_create(teu, "late", &options, &out, &err));
    uint64_t one = 1;
    CHECK(write(teu_cancel_fd(cancel), &one, sizeof one) == sizeof one);
    options.call = &cancelled;
    BAD(TEU_ECANCELED, teu_create(teu, "late", &options, &out, &err));
    BAD(TEU_ENOTFOUND, teu_open(teu, "late", &out, &err));
    options.call = NULL;
    GOOD(teu_create(teu, "late", &options, &out, &err));
    BAD(TEU_ECANCELED, teu_container_start(out, &cancelled, &err));
    BAD(TEU_ECANCELED, teu_container_pause(out, &cancelled, &err));
    BAD(TEU_ECANCELED, teu_container_delete(out, TEU_DELETE_FORCE, &cancelled, &err));
    BAD(TEU_ETIMEDOUT, teu_container_start(out, &past, &err));
    GOOD(teu_container_start(out, NULL, &err));
    BAD(TEU_ECANCELED, teu_container_wait(out, &cancelled, &ended, &err));
    BAD(TEU_ETIMEDOUT, teu_container_wait(out, &past, &ended, &err));
    BAD(TEU_EINVAL, teu_container_wait(out, NULL, NULL, &err));
    struct teu_exec_options exec = {.size = sizeof exec, .call = &cancelled, .argv = (const char *[]){"/guest", "exit", "0"}, .argc = 3};
    teu_process_t *process = NULL;
    BAD(TEU_ECANCELED, teu_container_exec(out, &exec, &process, &err));
    exec.call = NULL;
    exec.argc = 0;
    BAD(TEU_EINVAL, teu_container_exec(out, &exec, &process, &err));
    exec.process_json = "{}", exec.process_len = 2, exec.argc = 3;
    BAD(TEU_EINVAL, teu_container_exec(out, &exec, &process, &err));
    /* An end in the middle: run waits, and what it has made goes. */
    teu_cancel_free(cancel);
    removed(out);
    struct teu_call soon = {.size = sizeof soon, .timeout_ns = 200000000};
    options.call = &soon;
    BAD(TEU_ETIMEDOUT, teu_run(teu, "late", &options, &ended, &err));
    BAD(TEU_ENOTFOUND, teu_open(teu, "late", &out, &err));
    free(text);
}

/* What a container uses, its limits, its events: wrong structs, wrong numbers, wrong moments. A refused call fills nothing. */
static void limits_and_events(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "limits", ",\"sleep\"", &options);
    struct { struct teu_stats stats; uint64_t tail[4]; } used = {.stats = {.size = sizeof used}};
    memset(used.tail, 0xff, sizeof used.tail);
    GOOD(teu_container_stats(container, &used.stats, &err));
    CHECK(used.stats.valid != 0 && used.tail[0] == 0 && used.tail[3] == 0);
    uint64_t brief[4] = {16, 0, ~0ull, ~0ull};
    GOOD(teu_container_stats(container, (struct teu_stats *)brief, &err));
    CHECK(brief[0] == 16 && brief[1] == used.stats.valid && brief[2] == ~0ull && brief[3] == ~0ull);
    used.stats = (struct teu_stats){.size = 12, .valid = 7};
    BAD(TEU_EINVAL, teu_container_stats(container, &used.stats, &err));
    CHECK(used.stats.valid == 7);
    BAD(TEU_EINVAL, teu_container_stats(container, NULL, &err));
    BAD(TEU_EINVAL, teu_container_stats_json(container, NULL, NULL, &err));
    struct { struct teu_update_options options; uint64_t tail; } update = {.options = {.size = sizeof update}};
    GOOD(teu_container_update(container, &update.options, &err));
    update.tail = 1;
    BAD(TEU_E2BIG, teu_container_update(container, &update.options, &err));
    static const char *const refused[] = {"", "[]", "{\"pids\":{\"limit\":\"x\"}}", "{\"memory\":{\"limit\":-7}}"};
    update.options = (struct teu_update_options){.size = sizeof update.options};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        update.options.resources_json = refused[i];
        update.options.resources_len = strlen(refused[i]);
        BAD(TEU_ESPEC, teu_container_update(container, &update.options, &err));
    }
    update.options = (struct teu_update_options){.size = sizeof update.options, .flags = 1};
    BAD(TEU_EINVAL, teu_container_update(container, &update.options, &err));
    update.options = (struct teu_update_options){.size = sizeof update.options, .resources_len = 3};
    BAD(TEU_EINVAL, teu_container_update(container, &update.options, &err));
    update.options = (struct teu_update_options){.size = sizeof update.options, .l3_cache_schema = "\xff"};
    BAD(TEU_EINVAL, teu_container_update(container, &update.options, &err));
    struct teu_call past = {.size = sizeof past, .timeout_ns = 1};
    update.options = (struct teu_update_options){.size = sizeof update.options, .call = &past};
    BAD(TEU_ETIMEDOUT, teu_container_update(container, &update.options, &err));
    teu_events_t *events = (teu_events_t *)teu;
    struct teu_event_options wanted = {.size = sizeof wanted, .flags = 2};
    BAD(TEU_EINVAL, teu_events_open(container, &wanted, &events, &err));
    CHECK(events == NULL);
    BAD(TEU_EINVAL, teu_events_open(container, NULL, NULL, &err));
    struct teu_pressure pressure[] = {{9, 0, 1000000, 2000000000}, {TEU_PRESSURE_MEMORY, 0, 0, 2000000000}, {TEU_PRESSURE_CPU, 0, 1000000, 1}};
    for (size_t i = 0; i < 3; i++) {
        wanted = (struct teu_event_options){.size = sizeof wanted, .pressure = pressure + i, .n_pressure = 1};
        BAD(TEU_EINVAL, teu_events_open(container, &wanted, &events, &err));
    }
    wanted = (struct teu_event_options){.size = sizeof wanted, .n_pressure = 1};
    BAD(TEU_EINVAL, teu_events_open(container, &wanted, &events, &err));
    GOOD(teu_events_open(container, NULL, &events, &err));
    BAD(TEU_EINVAL, teu_events_next(events, NULL, NULL, &err));
    struct { struct teu_event event; uint64_t tail[2]; } told = {.event = {.size = 8, .value = 7}, .tail = {~0ull, ~0ull}};
    GOOD(teu_container_kill(container, SIGKILL, 0, &err));
    struct teu_call patience = {.size = sizeof patience, .timeout_ns = 60000000000};
    CHECK(GOOD(teu_events_next(events, &told.event, &patience, &err)) == 1);
    CHECK(told.event.value == 7 && told.tail[0] == ~0ull);
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    teu_events_free(events);
    teu_events_free(events);
    BAD(TEU_EINVAL, teu_events_next(events, &told.event, NULL, &err));
    BAD(TEU_ENOTRUNNING, teu_events_open(container, NULL, &events, &err));
    teu_container_t *late = NULL;
    GOOD(teu_open(teu, "limits", &late, &err));
    used.stats.size = sizeof used.stats;
    BAD(TEU_ENOTRUNNING, teu_container_stats(late, &used.stats, &err));
    teu_container_unref(late);
    GOOD(teu_container_stats(container, &used.stats, &err));
    update.options = (struct teu_update_options){.size = sizeof update.options};
    BAD(TEU_ENOTRUNNING, teu_container_update(container, &update.options, &err));
    BAD(TEU_ENOTRUNNING, teu_container_add_mounts(container, "[]", 2, NULL, &err));
    GOOD(teu_container_delete(container, 0, NULL, &err));
    BAD(TEU_ENOTRUNNING, teu_container_stats(container, &used.stats, &err));
    BAD(TEU_ENOTFOUND, teu_container_update(container, &update.options, &err));
    teu_container_unref(container);
}

static int records, destroyed;

static void hear(void *data, const struct teu_log_record *record)
{
    CHECK(data == &records && record->size >= sizeof *record && record->message[0] && record->target[0]);
    records++;
}

static void destroy(void *data)
{
    CHECK(data == &records);
    destroyed++;
}

static void logs(void)
{
    teu_error_t *err = NULL;
    teu_t *teu = NULL;
    teu_container_t *container = NULL;
    struct teu_options options = {.size = sizeof options, .root = ROOT, .log_fn = hear, .log_data = &records, .log_destroy = destroy};
    GOOD(teu_new(&options, &teu, &err));
    char *text = config("log", ",\"exit\",\"0\"", ",\"capabilities\":{\"bounding\":[\"CAP_NONSENSE\"]}", "");
    struct teu_create_options create = {.size = sizeof create, .bundle = BUNDLE, .config_json = text, .config_len = strlen(text)};
    GOOD(teu_create(teu, "log", &create, &container, &err));
    CHECK(records > 0);
    teu_unref(teu);
    CHECK(destroyed == 0);
    removed(container);
    CHECK(destroyed == 1);
    free(text);
}

/* One container from many threads: every answer is one of those that the header names. */
static teu_container_t *shared;

static void *many(void *data)
{
    teu_error_t *err = NULL;
    for (int i = 0; i < 50; i++) {
        struct teu_state state = {.size = sizeof state};
        GOOD(teu_container_state(shared, &state, &err));
        int result = i % 2 ? teu_container_pause(shared, NULL, &err) : teu_container_resume(shared, NULL, &err);
        CHECK(result == 0 || result == TEU_ESTATE || result == TEU_EBUSY);
        teu_error_free(err);
        err = NULL;
        teu_container_unref(teu_container_ref(shared));
    }
    return data;
}

static void *waits(void *data)
{
    teu_error_t *err = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_container_wait(shared, NULL, &ended, &err));
    CHECK(ended.signal == SIGKILL);
    return data;
}

static void threads(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {0};
    shared = created(teu, "threads", ",\"sleep\"", &options);
    GOOD(teu_container_start(shared, NULL, &err));
    pthread_t all[8], waiting[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&waiting[i], NULL, waits, NULL) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&all[i], NULL, many, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join(all[i], NULL);
    GOOD(teu_container_kill(shared, SIGKILL, 0, &err));
    for (int i = 0; i < 4; i++)
        pthread_join(waiting[i], NULL);
    removed(shared);
}

int main(void)
{
    int before = descriptors();
    nothing_at_all();
    teu_t *teu = context();
    stale_handles(teu);
    structs(teu);
    arguments(teu);
    configurations(teu);
    time_and_cancellation(teu);
    limits_and_events(teu);
    logs();
    threads(teu);
    teu_unref(teu);
    CHECK(descriptors() == before);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    return 0;
}
