/* The program in the containers of the tests: no libc, so that it is small and needs nothing. Its first argument says what it does.
 *   exit N     ends with N          say TEXT   writes TEXT to stdout         sleep      waits for a signal
 *   env NAME   writes the value     fd N TEXT  writes TEXT to descriptor N   tty        writes "tty" if stdin is a terminal */
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

enum { WRITE = 1, IOCTL = 16, PAUSE = 34, EXIT = 231 };

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
