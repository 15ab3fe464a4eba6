/* A host as bad as they come: 64 threads that allocate, a gibibyte of heap, a SIGCHLD handler, a loop that waits for any child, closed standard streams, an odd
 * umask, a working directory that is gone. Containers live and die in it, and what belongs to the host is as it was. */
#include "host.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

enum { THREADS = 64 };
static atomic_int stop;
static volatile sig_atomic_t signals;
static int report; /* a copy of stderr, because 2 is closed */

#undef CHECK
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            dprintf(report, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            abort(); \
        } \
    } while (0)

static void on_child(int number)
{
    (void)number;
    signals++;
}

static void *churn(void *data)
{
    unsigned seed = (unsigned)(uintptr_t)data;
    while (!stop) {
        char *block = malloc(rand_r(&seed) % 65536 + 1);
        block[0] = 1;
        free(block);
        usleep(2000);
    }
    return NULL;
}

/* Takes every child it sees, as shims do, and now and then those that tell nobody of their end. */
static void *reap(void *data)
{
    for (unsigned round = 0; !stop; round++) {
        if (waitpid(-1, NULL, WNOHANG | (round % 2 ? __WALL : 0)) <= 0)
            usleep(500);
    }
    return data;
}

struct snapshot {
    mode_t mask;
    sigset_t blocked;
    struct sigaction actions[65];
    struct rlimit limits[RLIM_NLIMITS];
    char environment[65536], score[32], status[4096], cwd[256];
    int dumpable, subreaper, no_new_privs, descriptors, threads;
    cpu_set_t cpus;
};

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void file(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, size - 1);
    to[n < 0 ? 0 : n] = '\0';
    close(fd);
}

/* Lines of /proc/self/status that are the host's own decision. */
static void status_lines(char *to, size_t size)
{
    static const char *const kept[] = {"Umask:", "TracerPid:", "Uid:", "Gid:", "Groups:", "SigBlk:", "SigIgn:", "SigCgt:",
                                       "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:"};
    char text[8192], *line, *rest = text;
    file("/proc/self/status", text, sizeof text);
    to[0] = '\0';
    while ((line = strsep(&rest, "\n")))
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (strncmp(line, kept[i], strlen(kept[i])) == 0)
                strncat(to, line, size - strlen(to) - 1);
}

static void take(struct snapshot *s)
{
    extern char **environ;
    memset(s, 0, sizeof *s);
    s->mask = umask(0);
    umask(s->mask);
    pthread_sigmask(SIG_BLOCK, NULL, &s->blocked);
    for (int number = 1; number <= 64; number++)
        sigaction(number, NULL, &s->actions[number]);
    for (int limit = 0; limit < (int)RLIM_NLIMITS; limit++)
        getrlimit((enum __rlimit_resource)limit, &s->limits[limit]);
    for (char **one = environ; *one; one++)
        strncat(s->environment, *one, sizeof s->environment - strlen(s->environment) - 2);
    file("/proc/self/oom_score_adj", s->score, sizeof s->score);
    status_lines(s->status, sizeof s->status);
    CHECK(readlink("/proc/self/cwd", s->cwd, sizeof s->cwd - 1) > 0);
    s->dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_CHILD_SUBREAPER, &s->subreaper);
    s->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    sched_getaffinity(0, sizeof s->cpus, &s->cpus);
    s->descriptors = entries("/proc/self/fd");
    s->threads = entries("/proc/self/task");
}

static void live(teu_t *teu, int number)
{
    teu_error_t *err = NULL;
    teu_container_t *container = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    char id[32];
    snprintf(id, sizeof id, "h%d", number);
    char *text = config(id, ",\"exit\",\"7\"", "", "");
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = text, .config_len = strlen(text)};
    int made = teu_create(teu, id, &options, &container, &err);
    if (made < 0)
        dprintf(report, "%s\n", teu_error_message(err));
    CHECK(made == 0);
    CHECK(teu_container_start(container, NULL, &err) == 0);
    CHECK(teu_container_wait(container, NULL, &ended, &err) == 0);
    /* The loop may have taken the status; a kernel that keeps it tells it all the same. */
    CHECK(ended.code == 7 || ended.status == 255);
    CHECK(teu_container_delete(container, TEU_DELETE_FORCE, NULL, &err) == 0);
    teu_container_unref(container);
    free(text);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    static struct snapshot before, after;
    int cycles = argc > 1 ? atoi(argv[1]) : 50;
    report = fcntl(2, F_DUPFD_CLOEXEC, 100);
    size_t heap = (size_t)(argc > 2 ? atoi(argv[2]) : 1024) << 20;
    char *memory = malloc(heap + 1);
    memset(memory, 1, heap + 1);
    char place[] = "/tmp/teu-hygiene-XXXXXX";
    CHECK(mkdtemp(place) && chdir(place) == 0 && rmdir(place) == 0);
    umask(0137);
    signal(SIGCHLD, on_child);
    sigset_t odd;
    sigemptyset(&odd);
    sigaddset(&odd, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &odd, NULL);
    signal(SIGPIPE, SIG_IGN);
    teu_t *teu = context();
    close(0), close(1), close(2);
    pthread_t threads[THREADS], reaper;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(i + 1)) == 0);
    CHECK(pthread_create(&reaper, NULL, reap, NULL) == 0);
    live(teu, 0);
    take(&before);
    double begun = milliseconds();
    for (int i = 1; i <= cycles; i++)
        live(teu, i);
    double each = (milliseconds() - begun) / cycles;
    take(&after);
    CHECK(memcmp(before.environment, after.environment, sizeof before.environment) == 0);
    CHECK(strcmp(before.status, after.status) == 0);
    CHECK(strcmp(before.cwd, after.cwd) == 0 && strcmp(before.score, after.score) == 0);
    CHECK(before.mask == 0137 && after.mask == before.mask);
    CHECK(before.descriptors == after.descriptors);
    CHECK(before.threads == after.threads);
    CHECK(memcmp(before.limits, after.limits, sizeof before.limits) == 0);
    CHECK(memcmp(&before.blocked, &after.blocked, sizeof before.blocked) == 0);
    CHECK(memcmp(&before.cpus, &after.cpus, sizeof before.cpus) == 0);
    CHECK(before.dumpable == after.dumpable && before.subreaper == after.subreaper);
    CHECK(before.no_new_privs == after.no_new_privs);
    for (int number = 1; number <= 64; number++) {
        CHECK(before.actions[number].sa_handler == after.actions[number].sa_handler);
        CHECK(before.actions[number].sa_flags == after.actions[number].sa_flags);
    }
    CHECK(fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1 && fcntl(2, F_GETFD) == -1);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(reaper, NULL);
    teu_unref(teu);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    dprintf(report, "%d lifecycles, %.2f ms each, %zu MiB of heap, %d SIGCHLD\n", cycles, each, heap >> 20, (int)signals);
    free(memory);
    return 0;
}
