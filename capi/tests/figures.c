/* What the calls of libteu cost: the median of many, in microseconds. By name only: cargo test -p teu-capi --test c -- --ignored --nocapture */
#include "host.h"

#include <time.h>

enum { ROUNDS = 300 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *all, int n)
{
    qsort(all, (size_t)n, sizeof *all, compare);
    return all[n / 2];
}

static double cycle(teu_t *teu)
{
    static double all[ROUNDS];
    teu_error_t *err = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    for (int i = 0; i < ROUNDS; i++) {
        struct teu_create_options options = {0};
        double begun = now();
        teu_container_t *container = created(teu, "figures", ",\"exit\",\"0\"", &options);
        GOOD(teu_container_start(container, NULL, &err));
        GOOD(teu_container_wait(container, NULL, &ended, &err));
        GOOD(teu_container_delete(container, 0, NULL, &err));
        teu_container_unref(container);
        all[i] = now() - begun;
    }
    return median(all, ROUNDS);
}

int main(void)
{
    static double state[ROUNDS], killed[ROUNDS];
    teu_error_t *err = NULL;
    teu_t *teu = context();
    double small = cycle(teu);
    size_t gibibyte = (size_t)1 << 30;
    char *heap = malloc(gibibyte);
    memset(heap, 1, gibibyte);
    double large = cycle(teu);
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "figures", ",\"sleep\"", &options);
    GOOD(teu_container_start(container, NULL, &err));
    for (int i = 0; i < ROUNDS; i++) {
        struct teu_state answer = {.size = sizeof answer};
        double begun = now();
        GOOD(teu_container_state(container, &answer, &err));
        state[i] = now() - begun;
        begun = now();
        GOOD(teu_container_kill(container, SIGCONT, 0, &err));
        killed[i] = now() - begun;
    }
    removed(container);
    teu_unref(teu);
    printf("create+start+wait+delete %.0f us, with 1 GiB of heap %.0f us, state %.1f us, kill %.1f us\n", small, large,
           median(state, ROUNDS), median(killed, ROUNDS));
    free(heap);
    return 0;
}
