/* What a host does again and again - state, signals, stats, and events without waiting - allocates nothing; stats once they are warm. */
#include "host.h"

static volatile int counting, count;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size)
{
    count += counting;
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count += counting;
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
    count += counting;
    return __libc_realloc(old, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    count += counting;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

/* The allocations of a call that succeeds. */
#define COUNTED(call) (count = 0, counting = 1, result = (call), counting = 0, GOOD(result), report(#call))

static void report(const char *call)
{
    if (count != 0)
        fprintf(stderr, "%s: %d allocations\n", call, count);
    CHECK(count == 0);
}

/* In every status that a container can have. */
static void asked_and_told(teu_container_t *container, int status)
{
    teu_error_t *err = NULL;
    int result;
    struct teu_state state = {.size = sizeof state};
    COUNTED(teu_container_state(container, &state, &err));
    CHECK(state.status == status);
    if (status != TEU_STOPPED)
        COUNTED(teu_container_kill(container, SIGCONT, 0, &err));
}

int main(void)
{
    teu_error_t *err = NULL;
    int result;
    teu_events_t *events = NULL;
    teu_t *teu = context();
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "allocation", ",\"sleep\"", &options);
    asked_and_told(container, TEU_CREATED);
    GOOD(teu_container_start(container, NULL, &err));
    asked_and_told(container, TEU_RUNNING);
    if (teu_container_pause(container, NULL, NULL) == 0) {
        asked_and_told(container, TEU_PAUSED);
        GOOD(teu_container_resume(container, NULL, &err));
    }
    GOOD(teu_events_open(container, NULL, &events, &err));
    struct teu_stats stats = {.size = sizeof stats};
    struct teu_event event = {.size = sizeof event};
    GOOD(teu_container_stats(container, &stats, &err));
    for (int round = 0; round < 3; round++) {
        COUNTED(teu_container_stats(container, &stats, &err));
        COUNTED(teu_events_next(events, &event, NULL, &err));
    }
    counting = 1;
    free(strdup("this is counted"));
    counting = 0;
    CHECK(count == 1);
    teu_events_free(events);
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_container_kill(container, SIGKILL, 0, &err));
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    asked_and_told(container, TEU_STOPPED);
    removed(container);
    teu_unref(teu);
    return 0;
}
