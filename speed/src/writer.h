/* Writes what the front reads: a part of Python's marshal format, in its version 2. */

#ifndef INDRIK_WRITER_H
#define INDRIK_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Writes from at on. What does not fit before end is left out, and then full is set. */
typedef struct {
    uint8_t *at, *end;
    int full;
} Writer;

static inline void write_header(Writer *w, uint8_t code, uint32_t value)
{
    if (w->end - w->at < 5) {
        w->full = 1;
        return;
    }
    w->at[0] = code;
    w->at[1] = (uint8_t)value;
    w->at[2] = (uint8_t)(value >> 8);
    w->at[3] = (uint8_t)(value >> 16);
    w->at[4] = (uint8_t)(value >> 24);
    w->at += 5;
}

/* Writes bytes with the code 's', or a text in UTF-8 with 'u'. */
static inline void write_data(Writer *w, uint8_t code, const void *data, size_t size)
{
    if ((size_t)(w->end - w->at) < 5 || size > (size_t)(w->end - w->at) - 5) {
        w->full = 1;
        return;
    }
    write_header(w, code, (uint32_t)size);
    memcpy(w->at, data, size);
    w->at += size;
}

#endif
