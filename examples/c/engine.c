/* A minimal engine: makes a container from a bundle, passes its output on, waits for its end and removes it.
 *
 *   cc engine.c $(pkg-config --cflags --libs teu) -o engine
 *   ./engine --root /run/engine web1 /bundles/web     (needs root, or a bundle for an ordinary user)
 *
 * SIGINT and SIGTERM are passed on to the container; after ten seconds it is killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <teu.h>

/* Says what went wrong, where, and gives the error back. */
static int failed(teu_error_t *err)
{
    const char *place = teu_error_pointer(err);
    fprintf(stderr, "engine: %s: %s\n", teu_error_phase(err), teu_error_message(err));
    if (place)
        fprintf(stderr, "engine: look at %s in config.json\n", place);
    teu_error_free(err);
    return 1;
}

static void log_line(void *data, const struct teu_log_record *record)
{
    (void)data;
    fprintf(stderr, "teu: %s\n", record->message);
}

/* Moves what is there; false at the end. */
static int pass_on(int from, int to)
{
    char buffer[16384];
    ssize_t n = read(from, buffer, sizeof buffer);
    for (ssize_t done = 0, wrote; done < n; done += wrote)
        if ((wrote = write(to, buffer + done, (size_t)(n - done))) < 0)
            return 0;
    return n > 0 || (n < 0 && errno == EINTR);
}

/* One loop for everything: output, signals, the end. */
static int watch(teu_container_t *container, int output, int signals, teu_error_t **err)
{
    int pidfd = teu_container_pidfd(container, err);
    if (pidfd < 0)
        return pidfd;
    struct pollfd fds[] = {{pidfd, POLLIN, 0}, {output, POLLIN, 0}, {signals, POLLIN, 0}};
    int patience = -1, result = 0;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int ready = poll(fds, 3, patience);
        if (ready == 0)
            result = teu_container_kill(container, SIGKILL, TEU_KILL_ALL, NULL);
        if (ready > 0 && fds[0].revents)
            fds[0].fd = -1;
        if (ready > 0 && fds[1].revents && !pass_on(output, STDOUT_FILENO))
            fds[1].fd = -1;
        if (ready > 0 && fds[2].revents) {
            struct signalfd_siginfo info;
            if (read(signals, &info, sizeof info) == sizeof info)
                teu_container_kill(container, (int)info.ssi_signo, 0, NULL);
            patience = 10000;
        }
    }
    close(pidfd);
    return result == TEU_ENOTRUNNING ? 0 : result;
}

/* A container's whole life; its exit status, or a negative code. */
static int live(teu_t *teu, const char *id, const char *bundle, int signals, teu_error_t **err)
{
    int output[2];
    if (pipe2(output, O_CLOEXEC) < 0)
        return TEU_ESYS;
    struct teu_fd_map fds[] = {{0, STDIN_FILENO}, {1, output[1]}, {2, STDERR_FILENO}};
    struct teu_create_options options = {.size = sizeof options, .bundle = bundle, .fds = fds, .n_fds = 3};
    struct teu_exit ended = {.size = sizeof ended};
    teu_container_t *container = NULL;
    int result = teu_create(teu, id, &options, &container, err);
    close(output[1]); /* the container has its own copy: when it ends, so does the pipe */
    if (result == 0)
        result = teu_container_start(container, NULL, err);
    if (result == 0)
        result = watch(container, output[0], signals, err);
    if (result == 0)
        result = teu_container_wait(container, NULL, &ended, err);
    if (container)
        teu_container_delete(container, TEU_DELETE_FORCE, NULL, NULL);
    teu_container_unref(container);
    close(output[0]);
    return result < 0 ? result : ended.status;
}

int main(int argc, char **argv)
{
    struct teu_options options = {.size = sizeof options, .log_fn = log_line};
    if (argc > 2 && strcmp(argv[1], "--root") == 0) {
        options.root = argv[2];
        argc -= 2, argv += 2;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: engine [--root DIR] ID BUNDLE\n");
        return 2;
    }
    sigset_t passed;
    sigemptyset(&passed);
    sigaddset(&passed, SIGINT);
    sigaddset(&passed, SIGTERM);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    int signals = signalfd(-1, &passed, SFD_CLOEXEC);
    teu_t *teu = NULL;
    teu_error_t *err = NULL;
    if (teu_new(&options, &teu, &err) < 0)
        return failed(err);
    int result = live(teu, argv[1], argv[2], signals, &err);
    teu_unref(teu);
    return result < 0 ? failed(err) : result;
}
