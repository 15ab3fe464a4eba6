/* teu.h - the C interface of teu, an OCI container runtime.
 *
 * A skeleton: the functions below are all there is yet.
 */
#ifndef TEU_H
#define TEU_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header: 0xMMmmpp. */
#define TEU_VERSION_NUMBER 0x000100

/* The version of the loaded library as text. Static: do not free it. */
const char *teu_version(void);

/* The version of the loaded library: 0xMMmmpp. */
uint32_t teu_version_number(void);

#ifdef __cplusplus
}
#endif
#endif /* TEU_H */
