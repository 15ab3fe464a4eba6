/* The program in the containers of the tests: no libc, so that it is small and needs nothing. Its first argument says what it does.
 *   exit N     ends with N          say TEXT   writes TEXT to stdout         sleep      waits for a signal
 *   env NAME   writes the value     fd N TEXT  writes TEXT to descriptor N   tty        writes "tty" if stdin is a terminal
 *   mkdir PATH ends with the errno  eat        takes memory without end      is PATH    ends with 0 if PATH exists, else 1
 *   ready      tells the socket of NOTIFY_SOCKET that it is ready, and sleeps */
static long call(long number, long a, long b, long c)
{
    long result;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
#error "the guest of the tests knows x86_64 only"
#endif
    return result;
}

enum { WRITE = 1, MMAP = 9, IOCTL = 16, ACCESS = 21, PAUSE = 34, SOCKET = 41, MKDIR = 83, EXIT = 231 };

static long length(const char *text)
{
    long n = 0;
    while (text[n])
        n++;
    return n;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static long number(const char *text)
{
    long n = 0;
    while (*text >= '0' && *text <= '9')
        n = n * 10 + (*text++ - '0');
    return n;
}

static void say(long fd, const char *text)
{
    call(WRITE, fd, (long)text, length(text));
}

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}

/* Takes a mebibyte, and writes to every page of it. */
static void eat(void)
{
    volatile char *memory = (volatile char *)call6(MMAP, 0, 1 << 20, 3, 0x22, -1, 0);
    for (long at = 0; at < 1 << 20; at += 4096)
        memory[at] = 1;
}

static const char *value_of(char **env, const char *name)
{
    for (; *env; env++) {
        long n = 0;
        while (name[n] && (*env)[n] == name[n])
            n++;
        if (!name[n] && (*env)[n] == '=')
            return *env + n + 1;
    }
    return "";
}

static int ready(const char *path)
{
    struct { short family; char path[108]; } address = {1, {0}};
    enum { SENDTO = 44 };
    long n = length(path);
    for (long i = 0; i < n && i < 107; i++)
        address.path[i] = path[i];
    long socket = call(SOCKET, 1, 2, 0);
    if (call6(SENDTO, socket, (long)"READY=1", 7, 0, (long)&address, 3 + n) != 7)
        return 9;
    for (;;)
        call(PAUSE, 0, 0, 0);
}

static int act(char **argv, char **env)
{
    const char *what = argv[1];
    char size[64];
    if (same(what, "exit"))
        return (int)number(argv[2]);
    if (same(what, "say"))
        say(1, argv[2]);
    if (same(what, "fd"))
        say(number(argv[2]), argv[3]);
    if (same(what, "sleep"))
        for (;;)
            call(PAUSE, 0, 0, 0);
    if (same(what, "tty"))
        say(1, call(IOCTL, 0, 0x5413, (long)size) == 0 ? "tty" : "no tty");
    if (same(what, "mkdir"))
        return (int)-call(MKDIR, (long)argv[2], 0755, 0);
    if (same(what, "is"))
        return call(ACCESS, (long)argv[2], 0, 0) != 0;
    if (same(what, "eat"))
        for (;;)
            eat();
    if (same(what, "ready"))
        return ready(value_of(env, "NOTIFY_SOCKET"));
    if (same(what, "env"))
        for (; *env; env++) {
            long n = length(argv[2]);
            char *value = *env + n;
            int i = 0;
            while (i < n && (*env)[i] == argv[2][i])
                i++;
            if (i == n && *value == '=')
                say(1, value + 1);
        }
    return 0;
}

void begin(long *stack)
{
    char **argv = (char **)(stack + 1);
    call(EXIT, act(argv, argv + stack[0] + 1), 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
