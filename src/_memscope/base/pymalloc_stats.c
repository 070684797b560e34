#include "base/pymalloc_stats.h"

#include <string.h>

/* The number after '=' on the line that has `label`, digits in groups: "= 1,048,576". */
static int
value_of(uint64_t *value, const char *text, const char *label)
{
    const char *at = strstr(text, label);
    if (at == NULL) {
        return -1;
    }
    at += strlen(label);
    at += strcspn(at, "=\n");
    if (*at != '=') {
        return -1;
    }
    at++;
    at += strspn(at, " ");
    uint64_t number = 0;
    int digits = 0;
    for (; (*at >= '0' && *at <= '9') || *at == ','; at++) {
        if (*at == ',') {
            continue;
        }
        unsigned digit = (unsigned)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        number = number * 10 + digit;
        digits++;
    }
    *value = number;
    return digits > 0 ? 0 : -1;
}

int
pymalloc_stats_parse(struct pymalloc_stats *self, const char *text)
{
    static const char *const labels[] = {
        " bytes/arena ",
        "# bytes in allocated blocks ",
        "# bytes in available blocks ",
        " unused pools * ",
        "# bytes lost to pool headers ",
        "# bytes lost to quantization ",
        "# bytes lost to arena alignment ",
    };
    enum { TOTAL, USED, PARTIAL, UNUSED, LABELS = sizeof(labels) / sizeof(labels[0]) };
    uint64_t values[LABELS];
    uint64_t sum = 0;
    for (int i = 0; i < LABELS; i++) {
        if (value_of(&values[i], text, labels[i]) < 0) {
            return -1;
        }
        if (i != TOTAL) {
            if (values[i] > values[TOTAL] - sum) {
                return -1;
            }
            sum += values[i];
        }
    }
    if (sum != values[TOTAL]) {
        return -1;
    }
    *self = (struct pymalloc_stats){values[TOTAL], values[USED], values[PARTIAL], values[UNUSED]};
    return 0;
}
