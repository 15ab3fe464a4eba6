/* A container's life through C: every way to make one, every call on one, and nothing left behind. */
#include "host.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static void life(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    struct teu_state state = {.size = sizeof state};
    int out[2];
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    struct teu_fd_map fds[] = {{1, out[1]}, {7, out[1]}};
    struct teu_create_options options = {.fds = fds, .n_fds = 2};
    teu_container_t *container = created(teu, "life", ",\"fd\",\"7\",\"through seven\"", &options);
    CHECK(strcmp(teu_container_id(container), "life") == 0);
    GOOD(teu_container_state(container, &state, &err));
    CHECK(state.status == TEU_CREATED && state.pid > 0);
    CHECK(state.created_ns / 1000000000 <= (uint64_t)time(NULL) && (uint64_t)time(NULL) - state.created_ns / 1000000000 < 600);
    teu_container_t *twice = container;
    options.config_json = NULL;
    options.config_len = 0;
    BAD(TEU_EEXISTS, teu_create(teu, "life", &options, &twice, &err));
    CHECK(twice == NULL);
    close(out[1]);
    int pidfd = GOOD(teu_container_pidfd(container, &err));
    CHECK(pidfd > 2 && (fcntl(pidfd, F_GETFD) & FD_CLOEXEC));
    GOOD(teu_container_start(container, NULL, &err));
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    CHECK(ended.code == 0 && ended.signal == 0 && ended.status == 0);
    struct pollfd polled = {.fd = pidfd, .events = POLLIN};
    CHECK(poll(&polled, 1, 0) == 1);
    close(pidfd);
    CHECK(strcmp(content(out[0]), "through seven") == 0);
    CHECK(status(container) == TEU_STOPPED);
    BAD(TEU_ENOTRUNNING, teu_container_kill(container, SIGTERM, 0, &err));
    BAD(TEU_ESTATE, teu_container_start(container, NULL, &err));
    GOOD(teu_container_delete(container, 0, NULL, &err));
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    BAD(TEU_ENOTFOUND, teu_container_state(container, &state, &err));
    BAD(TEU_ENOTFOUND, teu_container_delete(container, 0, NULL, &err));
    GOOD(teu_container_delete(container, TEU_DELETE_FORCE, NULL, &err));
    teu_container_unref(container);
}

static void signals_and_freezer(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    struct teu_create_options options = {0};
    teu_container_t *again = NULL, *container = created(teu, "freeze", ",\"sleep\"", &options);
    BAD(TEU_ESTATE, teu_container_resume(container, NULL, &err));
    GOOD(teu_container_start(container, NULL, &err));
    BAD(TEU_ESTATE, teu_container_start(container, NULL, &err));
    BAD(TEU_ESTATE, teu_container_delete(container, 0, NULL, &err));
    GOOD(teu_container_pause(container, NULL, &err));
    CHECK(status(container) == TEU_PAUSED);
    BAD(TEU_ESTATE, teu_container_pause(container, NULL, &err));
    struct teu_exec_options exec = {.size = sizeof exec, .argv = (const char *[]){"/guest", "exit", "0"}, .argc = 3};
    BAD(TEU_EPAUSED, teu_container_exec(container, &exec, &(teu_process_t *){NULL}, &err));
    GOOD(teu_container_resume(container, NULL, &err));
    CHECK(status(container) == TEU_RUNNING);
    GOOD(teu_open(teu, "freeze", &again, &err));
    pid_t *pids = NULL;
    size_t n = 0;
    GOOD(teu_container_ps(again, &pids, &n, &err));
    struct teu_state state = {.size = sizeof state};
    GOOD(teu_container_state(again, &state, &err));
    CHECK(n == 1 && pids[0] == state.pid);
    teu_free(pids);
    struct teu_stats stats = {.size = sizeof stats};
    for (int i = 0; i < 3; i++) {
        GOOD(teu_container_stats(again, &stats, &err));
        CHECK((stats.valid & 1 << 15) && stats.pids_current == 1);
    }
    static const char limits[] = "{\"pids\":{\"limit\":77}}";
    struct teu_update_options update = {.size = sizeof update, .resources_json = limits, .resources_len = sizeof limits - 1};
    GOOD(teu_container_update(again, &update, &err));
    GOOD(teu_container_stats(again, &stats, &err));
    CHECK((stats.valid & 1 << 16) && stats.pids_limit == 77);
    char *json = NULL;
    GOOD(teu_container_stats_json(again, &json, NULL, &err));
    CHECK(strstr(json, "\"pids\"") != NULL);
    teu_free(json);
    char *path = NULL;
    int fd = -1;
    GOOD(teu_container_cgroup(again, &path, &fd, &err));
    struct stat by_path, by_fd;
    CHECK(stat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino && S_ISDIR(by_fd.st_mode));
    teu_free(path);
    close(fd);
    BAD(TEU_EINVAL, teu_container_kill(again, 999, 0, &err));
    GOOD(teu_container_kill(again, SIGKILL, 0, &err));
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    CHECK(ended.code == -1 && ended.signal == SIGKILL && ended.status == 128 + SIGKILL);
    teu_container_unref(again);
    removed(container);
}

static void every_bundle(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    struct teu_create_options by_path = {.size = sizeof by_path, .bundle = BUNDLE};
    GOOD(teu_run(teu, "by-path", &by_path, &ended, &err));
    CHECK(ended.code == 3);
    int fd = open(BUNDLE, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct teu_create_options by_fd = {.size = sizeof by_fd, .flags = TEU_BUNDLE_FD, .bundle_fd = fd};
    GOOD(teu_run(teu, "by-fd", &by_fd, &ended, &err));
    CHECK(ended.code == 3);
    char *json = config("both", ",\"exit\",\"9\"", "", "");
    by_fd.config_json = json;
    by_fd.config_len = strlen(json);
    GOOD(teu_run(teu, "both", &by_fd, &ended, &err));
    CHECK(ended.code == 9);
    by_fd.bundle = BUNDLE;
    BAD(TEU_EINVAL, teu_run(teu, "both", &by_fd, &ended, &err));
    char *plan = NULL;
    size_t len = 0;
    by_fd.bundle = NULL;
    GOOD(teu_plan_text(teu, "both", &by_fd, &plan, &len, &err));
    CHECK(len == strlen(plan) && strstr(plan, "exec") != NULL);
    teu_free(plan);
    free(json);
    close(fd);
}

static void one_more_process(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_process_t *process = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "exec", ",\"sleep\"", &options);
    GOOD(teu_container_start(container, NULL, &err));
    int out[2];
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    struct teu_fd_map fds[] = {{1, out[1]}};
    const char *env[] = {"B=two"};
    struct teu_exec_options exec = {
        .size = sizeof exec, .argv = (const char *[]){"/guest", "env", "B"}, .argc = 3,
        .env = env, .n_env = 1, .fds = fds, .n_fds = 1};
    GOOD(teu_container_exec(container, &exec, &process, &err));
    close(out[1]);
    CHECK(teu_process_pid(process) > 0);
    GOOD(teu_process_wait(process, NULL, &ended, &err));
    CHECK(ended.code == 0 && strcmp(content(out[0]), "two") == 0);
    BAD(TEU_ENOTRUNNING, teu_process_kill(process, SIGTERM, &err));
    teu_process_unref(process);
    static const char whole[] = "{\"cwd\":\"/\",\"args\":[\"/guest\",\"sleep\"]}";
    struct teu_exec_options other = {.size = sizeof other, .process_json = whole, .process_len = sizeof whole - 1};
    GOOD(teu_container_exec(container, &other, &process, &err));
    int pidfd = GOOD(teu_process_pidfd(process, &err));
    struct teu_call soon = {.size = sizeof soon, .timeout_ns = 1000000};
    BAD(TEU_ETIMEDOUT, teu_process_wait(process, &soon, &ended, &err));
    GOOD(teu_process_kill(process, SIGKILL, &err));
    GOOD(teu_process_wait(teu_process_ref(process), NULL, &ended, &err));
    CHECK(ended.signal == SIGKILL);
    teu_process_unref(process);
    teu_process_unref(process);
    close(pidfd);
    struct teu_exec_options missing = {.size = sizeof missing, .argv = (const char *[]){"/nothing"}, .argc = 1};
    BAD(TEU_ECMDNOTFOUND, teu_container_exec(container, &missing, &process, &err));
    CHECK(process == NULL);
    removed(container);
}

static void terminal(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_container_t *container = NULL;
    char *json = config("tty", ",\"tty\"", ",\"terminal\":true", "");
    char *at = strstr(json, "{\"destination\":\"/proc\"");
    char *with = NULL;
    CHECK(asprintf(&with, "%.*s{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
                   "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\",\"ptmxmode=0666\"]},%s",
                   (int)(at - json), json, at) > 0);
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = with, .config_len = strlen(with)};
    GOOD(teu_create(teu, "tty", &options, &container, &err));
    int master = GOOD(teu_container_take_console(container, &err));
    CHECK(isatty(master));
    BAD(TEU_ESTATE, teu_container_take_console(container, &err));
    GOOD(teu_container_start(container, NULL, &err));
    CHECK(strcmp(content(master), "tty") == 0);
    removed(container);
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    options.flags = TEU_CONSOLE_SOCKET_FD;
    options.console_socket_fd = pair[1];
    GOOD(teu_create(teu, "tty", &options, &container, &err));
    BAD(TEU_ESTATE, teu_container_take_console(container, &err));
    char byte[4096], control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {byte, sizeof byte};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK(recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&master, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof master);
    CHECK(isatty(master));
    close(master);
    close(pair[0]);
    close(pair[1]);
    removed(container);
    free(json);
    free(with);
}

static void lists(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {0};
    teu_container_t *b = created(teu, "b", ",\"sleep\"", &options), *a = created(teu, "a", ",\"sleep\"", &options);
    GOOD(teu_container_start(b, NULL, &err));
    teu_list_t *list = NULL;
    const char *id = NULL;
    struct teu_state state = {.size = sizeof state};
    GOOD(teu_list(teu, &list, &err));
    CHECK(GOOD(teu_list_next(list, &id, &state, &err)) == 1 && strcmp(id, "a") == 0 && state.status == TEU_CREATED);
    CHECK(GOOD(teu_list_next(list, &id, &state, &err)) == 1 && strcmp(id, "b") == 0 && state.status == TEU_RUNNING);
    CHECK(GOOD(teu_list_next(list, &id, &state, &err)) == 0 && id == NULL);
    teu_list_free(list);
    char *json = NULL;
    GOOD(teu_list_json(teu, &json, NULL, &err));
    CHECK(json[0] == '[' && strstr(json, "\"id\":\"a\"") < strstr(json, "\"id\":\"b\""));
    teu_free(json);
    size_t len = 0;
    GOOD(teu_container_state_json(a, &json, &len, &err));
    CHECK(len == strlen(json) && strstr(json, "\"status\":\"created\""));
    teu_free(json);
    removed(a);
    GOOD(teu_delete(teu, "b", TEU_DELETE_FORCE, &err));
    BAD(TEU_ENOTFOUND, teu_delete(teu, "b", 0, &err));
    teu_container_unref(b);
}

/* Waits for an event; what a container may tell before it is passed over. */
static void expect(teu_events_t *events, int type, struct teu_event *event)
{
    teu_error_t *err = NULL;
    struct teu_call patience = {.size = sizeof patience, .timeout_ns = 60000000000};
    do {
        *event = (struct teu_event){.size = sizeof *event};
        CHECK(GOOD(teu_events_next(events, event, &patience, &err)) == 1);
    } while (event->type != type && (event->type == TEU_EV_EMPTY || event->type == TEU_EV_OOM));
    CHECK(event->type == type);
}

static void what_happens(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_events_t *events = NULL;
    struct teu_event event = {.size = sizeof event};
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "events", ",\"sleep\"", &options);
    GOOD(teu_events_open(container, NULL, &events, &err));
    int fd = teu_events_fd(events);
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK(GOOD(teu_events_next(events, &event, NULL, &err)) == 0 && event.type == 0);
    struct teu_call soon = {.size = sizeof soon, .timeout_ns = 1000000};
    BAD(TEU_ETIMEDOUT, teu_events_next(events, &event, &soon, &err));
    teu_cancel_t *cancel = NULL;
    GOOD(teu_cancel_new(&cancel, &err));
    teu_cancel_trigger(cancel);
    struct teu_call cancelled = {.size = sizeof cancelled, .cancel = cancel};
    BAD(TEU_ECANCELED, teu_events_next(events, &event, &cancelled, &err));
    teu_cancel_free(cancel);
    GOOD(teu_container_kill(container, SIGKILL, 0, &err));
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    CHECK(poll(&polled, 1, 60000) == 1 && (polled.revents & POLLIN));
    expect(events, TEU_EV_EXIT, &event);
    /* They outlive the handle of the container, and the container. */
    removed(container);
    CHECK(GOOD(teu_events_next(events, &event, NULL, &err)) >= 0);
    teu_events_free(events);
    CHECK(fcntl(fd, F_GETFD) == -1 && teu_events_fd(events) == -1);
}

static void memory_runs_out(teu_t *teu)
{
    teu_error_t *err = NULL;
    teu_events_t *events = NULL;
    teu_container_t *container = NULL;
    char *json = config("oom", ",\"eat\"", "", ",\"resources\":{\"memory\":{\"limit\":16777216}}");
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = json, .config_len = strlen(json)};
    GOOD(teu_create(teu, "oom", &options, &container, &err));
    free(json);
    GOOD(teu_events_open(container, NULL, &events, &err));
    GOOD(teu_container_start(container, NULL, &err));
    struct teu_event event = {.size = sizeof event};
    expect(events, TEU_EV_OOM, &event);
    /* The kernel may tell before it has counted the kill. */
    CHECK(event.detail == TEU_OOM_LIMIT && event.value <= 1);
    expect(events, TEU_EV_EXIT, &event);
    teu_events_free(events);
    removed(container);
}

/* The host is the agent of a filter: it says what mkdir returns. */
static void answered_by_the_host(teu_t *teu)
{
    static const char filter[] =
        ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/nobody/is/here\","
        "\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}";
    teu_error_t *err = NULL;
    teu_container_t *container = NULL;
    char *json = config("agent", ",\"mkdir\",\"/x\"", "", filter);
    struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = json, .config_len = strlen(json)};
    /* Without the flag somebody must be there. */
    CHECK(teu_create(teu, "agent", &options, &container, &err) < 0);
    CHECK(strcmp(teu_error_pointer(err), "/linux/seccomp/listenerPath") == 0);
    teu_error_free(err);
    err = NULL;
    options.flags = TEU_KEEP_SECCOMP_NOTIFY;
    GOOD(teu_create(teu, "agent", &options, &container, &err));
    free(json);
    int listener = GOOD(teu_container_take_seccomp_notify(container, &err));
    CHECK(listener > 2 && (fcntl(listener, F_GETFD) & FD_CLOEXEC));
    BAD(TEU_ESTATE, teu_container_take_seccomp_notify(container, &err));
    GOOD(teu_container_start(container, NULL, &err));
    struct seccomp_notif question = {0};
    CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) == 0 && question.data.nr == SYS_mkdir);
    struct seccomp_notif_resp answer = {.id = question.id, .error = -EDOM};
    CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0);
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    CHECK(ended.code == EDOM);
    close(listener);
    removed(container);
}

static int guest(teu_container_t *container, const char *verb, const char *path)
{
    teu_error_t *err = NULL;
    teu_process_t *process = NULL;
    struct teu_exit ended = {.size = sizeof ended};
    const char *argv[] = {"/guest", verb, path};
    struct teu_exec_options exec = {.size = sizeof exec, .argv = argv, .argc = 3};
    GOOD(teu_container_exec(container, &exec, &process, &err));
    GOOD(teu_process_wait(process, NULL, &ended, &err));
    teu_process_unref(process);
    return ended.code;
}

static void mounts_that_come_and_go(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "mounts", ",\"sleep\"", &options);
    GOOD(teu_container_start(container, NULL, &err));
    static const char new[] = "[{\"destination\":\"/new\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}]";
    CHECK(guest(container, "is", "/new") == 1);
    GOOD(teu_container_add_mounts(container, new, sizeof new - 1, NULL, &err));
    CHECK(guest(container, "mkdir", "/new/below") == 0 && guest(container, "is", "/new/below") == 0);
    GOOD(teu_container_remove_mounts(container, new, sizeof new - 1, NULL, &err));
    CHECK(guest(container, "is", "/new/below") == 1);
    static const char wrong[] = "[{\"destination\":7}]";
    BAD(TEU_ESPEC, teu_container_add_mounts(container, wrong, sizeof wrong - 1, NULL, &err));
    struct teu_call past = {.size = sizeof past, .timeout_ns = 1};
    BAD(TEU_ETIMEDOUT, teu_container_add_mounts(container, new, sizeof new - 1, &past, &err));
    CHECK(guest(container, "is", "/new/below") == 1);
    removed(container);
}

static void tells_that_it_is_ready(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {.flags = TEU_NOTIFY_SOCKET};
    teu_container_t *container = created(teu, "ready", ",\"ready\"", &options);
    int socket = GOOD(teu_container_bind_notify_socket(container, &err));
    GOOD(teu_container_start(container, NULL, &err));
    char said[64] = "";
    struct pollfd polled = {.fd = socket, .events = POLLIN};
    CHECK(poll(&polled, 1, 60000) == 1 && read(socket, said, sizeof said - 1) == 7 && strcmp(said, "READY=1") == 0);
    close(socket);
    removed(container);
    struct teu_create_options without = {0};
    container = created(teu, "ready", ",\"sleep\"", &without);
    BAD(TEU_ESTATE, teu_container_bind_notify_socket(container, &err));
    removed(container);
}

/* A host that waits for any child takes the status, and the library tells it all the same where the kernel keeps it (Linux 6.15). */
static void stolen_status(teu_t *teu)
{
    teu_error_t *err = NULL;
    struct teu_create_options options = {0};
    teu_container_t *container = created(teu, "stolen", ",\"exit\",\"5\"", &options);
    struct teu_state state = {.size = sizeof state};
    struct teu_exit ended = {.size = sizeof ended};
    GOOD(teu_container_state(container, &state, &err));
    GOOD(teu_container_start(container, NULL, &err));
    int word = 0;
    CHECK(waitpid(-1, &word, 0) == state.pid && WEXITSTATUS(word) == 5);
    GOOD(teu_container_wait(container, NULL, &ended, &err));
    CHECK(ended.status == 5 || (ended.code == -1 && ended.status == 255));
    removed(container);
}

int main(void)
{
    int before = descriptors();
    teu_t *teu = context();
    teu_error_t *err = NULL;
    GOOD(teu_prepare(teu, &err));
    life(teu);
    signals_and_freezer(teu);
    every_bundle(teu);
    one_more_process(teu);
    terminal(teu);
    lists(teu);
    what_happens(teu);
    memory_runs_out(teu);
    answered_by_the_host(teu);
    mounts_that_come_and_go(teu);
    tells_that_it_is_ready(teu);
    stolen_status(teu);
    teu_unref(teu);
    CHECK(descriptors() == before);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    return 0;
}
