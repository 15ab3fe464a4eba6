/* What a host asks again and again: stats, and events without waiting, allocate nothing once they are warm. */
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

int main(void)
{
    teu_error_t *err = NULL;
    teu_events_t *events = NULL;
    teu_t *teu = context();
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "allocation", ",\"sleep\"", &options);
    GOOD(teu_container_start(container, NULL, &err));
    GOOD(teu_events_open(container, NULL, &events, &err));
    struct teu_stats stats = {.size = sizeof stats};
    struct teu_event event = {.size = sizeof event};
    static const char *const names[] = {"stats", "events"};
    for (int call = 0; call < 2; call++)
        for (int round = 0; round < 3; round++) {
            count = 0;
            counting = round > 0;
            int result = call == 0 ? teu_container_stats(container, &stats, &err) : teu_events_next(events, &event, NULL, &err);
            counting = 0;
            GOOD(result);
            if (count != 0)
                fprintf(stderr, "%s: %d allocations\n", names[call], count);
            CHECK(count == 0);
        }
    counting = 1;
    free(strdup("this is counted"));
    counting = 0;
    CHECK(count == 1);
    teu_events_free(events);
    removed(container);
    teu_unref(teu);
    return 0;
}
