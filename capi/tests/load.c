/* The library is loaded, used and unloaded, again and again: nothing of it stays. */
#include "host.h"

#include <dlfcn.h>

static int mapped(void)
{
    char line[4096];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps))
        count += strstr(line, "libteu") != NULL;
    fclose(maps);
    return count;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    int before = descriptors();
    for (int i = 0; i < 20; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            fprintf(stderr, "%s\n", dlerror());
        CHECK(library);
        int (*make)(const struct teu_options *, teu_t **, teu_error_t **);
        int (*validate)(const char *, size_t, uint64_t, teu_error_t **);
        void (*free_error)(teu_error_t *);
        void (*unref)(teu_t *);
        *(void **)&make = dlsym(library, "teu_new");
        *(void **)&validate = dlsym(library, "teu_validate");
        *(void **)&free_error = dlsym(library, "teu_error_free");
        *(void **)&unref = dlsym(library, "teu_unref");
        teu_t *teu = NULL;
        teu_error_t *err = NULL;
        CHECK(make(NULL, &teu, &err) == 0);
        CHECK(validate("{", 1, 0, &err) == TEU_ESPEC && err);
        free_error(err);
        unref(teu);
        CHECK(mapped() > 0);
        CHECK(dlclose(library) == 0);
        CHECK(mapped() == 0);
    }
    CHECK(descriptors() == before);
    return 0;
}
