/* A worker of the benchmark in C: what a program pays that links libteu. One line in, one line out, as the workers of src/worker.rs:
 *   cycle N   the nanoseconds of N containers, each as create,start,wait,delete
 *   calls N   the nanoseconds of N rounds on a container that waits for its start, each as state,kill,stats,update
 * engine ID BUNDLE STATE_ROOT MIB: so much heap is touched before anything else */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <teu.h>
#include <time.h>

static teu_t *teu;
static const char *prefix;
static struct teu_create_options options;
static teu_error_t *err;
static unsigned number;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time since the last lap. */
static uint64_t lap(void)
{
    static uint64_t last;
    uint64_t time = now(), since = time - last;
    last = time;
    return since;
}

static int create(teu_container_t **container)
{
    char id[256];
    snprintf(id, sizeof id, "%s-%u", prefix, number++);
    return teu_create(teu, id, &options, container, &err);
}

static int cycle(uint64_t *each)
{
    struct teu_exit ended = {.size = sizeof ended};
    teu_container_t *container = NULL;
    lap();
    int result = create(&container);
    each[0] = lap();
    if (result == 0)
        result = teu_container_start(container, NULL, &err);
    each[1] = lap();
    if (result == 0)
        result = teu_container_wait(container, NULL, &ended, &err);
    each[2] = lap();
    if (result == 0)
        result = teu_container_delete(container, 0, NULL, &err);
    teu_container_unref(container);
    each[3] = lap();
    return result;
}

/* On the container of the question. */
static teu_container_t *parked;

static int calls(uint64_t *each)
{
    struct teu_state state = {.size = sizeof state};
    struct teu_stats stats = {.size = sizeof stats};
    char limits[64];
    int length = snprintf(limits, sizeof limits, "{\"pids\":{\"limit\":%u}}", 100 + number++ % 100);
    struct teu_update_options update = {.size = sizeof update, .resources_json = limits, .resources_len = (size_t)length};
    lap();
    int result = teu_container_state(parked, &state, &err);
    each[0] = lap();
    if (result == 0)
        result = teu_container_kill(parked, SIGCONT, 0, &err);
    each[1] = lap();
    if (result == 0)
        result = teu_container_stats(parked, &stats, &err);
    each[2] = lap();
    if (result == 0)
        result = teu_container_update(parked, &update, &err);
    each[3] = lap();
    return result;
}

/* The times of many, or why not. */
static void answer(int (*measure)(uint64_t *), unsigned count)
{
    uint64_t *all = calloc(count + 1, 4 * sizeof *all);
    int result = measure == calls ? create(&parked) : 0;
    for (unsigned i = 0; i < count && result == 0; i++)
        result = measure(all + 4 * i);
    if (parked && result == 0)
        result = teu_container_delete(parked, TEU_DELETE_FORCE, NULL, &err);
    teu_container_unref(parked);
    parked = NULL;
    if (result < 0)
        printf("error %s", teu_error_message(err));
    for (unsigned i = 0; i < count && result == 0; i++)
        printf("%s%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, i ? " " : "", all[4 * i], all[4 * i + 1], all[4 * i + 2], all[4 * i + 3]);
    printf("\n");
    fflush(stdout);
    teu_error_free(err);
    err = NULL;
    free(all);
}

int main(int argc, char **argv)
{
    char line[64];
    unsigned count;
    if (argc != 5)
        return 2;
    size_t heap = strtoul(argv[4], NULL, 10) << 20;
    char *touched = malloc(heap + 1);
    if (!touched)
        return 1;
    memset(touched, 1, heap + 1);
    prefix = argv[1];
    options = (struct teu_create_options){.size = sizeof options, .bundle = argv[2]};
    struct teu_options root = {.size = sizeof root, .root = argv[3]};
    if (teu_new(&root, &teu, &err) < 0)
        return 1;
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "cycle %u", &count) == 1)
            answer(cycle, count);
        else if (sscanf(line, "calls %u", &count) == 1)
            answer(calls, count);
        else
            printf("error no such question\n"), fflush(stdout);
    teu_unref(teu);
    free(touched);
    return 0;
}
