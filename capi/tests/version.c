/* The loaded library is the one of this header: prints its version as text, and fails if the numbers differ. */
#include "teu.h"

#include <stdio.h>

int main(void)
{
    if (teu_version_number() != TEU_VERSION_NUMBER) {
        fprintf(stderr, "header %06x, library %06x\n", TEU_VERSION_NUMBER, (unsigned)teu_version_number());
        return 1;
    }
    return puts(teu_version()) < 0;
}
