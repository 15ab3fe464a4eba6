/* Every kind of object is made and given back, with the errors that are on the way: for a program that watches memory. It makes no container, because such
 * programs do not know the calls that make one. */
#include "host.h"

int main(void)
{
    teu_error_t *err = NULL;
    teu_t *teu = context();
    for (int i = 0; i < 10; i++) {
        teu_cancel_t *cancel = NULL;
        teu_list_t *list = NULL;
        char *text = NULL;
        size_t len = 0;
        GOOD(teu_cancel_new(&cancel, &err));
        teu_cancel_trigger(cancel);
        struct teu_call call = {.size = sizeof call, .cancel = cancel};
        char *json = config("memory", ",\"exit\",\"0\"", "", "");
        struct teu_create_options options = {.size = sizeof options, .bundle = BUNDLE, .config_json = json, .config_len = strlen(json), .call = &call};
        teu_container_t *container = NULL;
        BAD(TEU_ECANCELED, teu_create(teu, "memory", &options, &container, &err));
        options.call = NULL;
        GOOD(teu_plan_text(teu, "memory", &options, &text, &len, &err));
        teu_free(text);
        teu_cancel_free(cancel);
        GOOD(teu_list(teu, &list, &err));
        teu_list_free(list);
        GOOD(teu_list_json(teu, &text, NULL, &err));
        teu_free(text);
        GOOD(teu_features_json(&text, &len, &err));
        teu_free(text);
        CHECK(teu_validate("{}", 2, 0, &err) == TEU_ESPEC);
        text = teu_error_json(err);
        teu_free(text);
        teu_error_free(err);
        err = NULL;
        BAD(TEU_ENOTFOUND, teu_open(teu, "nobody", &container, &err));
        free(json);
    }
    teu_unref(teu);
    return 0;
}
