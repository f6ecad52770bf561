/* Fuzzes the reader: messages like the front's, each with a few bytes changed, cut short or put
 * together anew. Run it with sanitizers; TestSpeedReader and make fuzz do.
 *
 *     reader SECONDS [SEED]
 *
 * With a message on standard input and 0 seconds it reads that one. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/reader.h"

#define MOST 4096

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void check(const Item *item, const uint8_t *start, const uint8_t *end)
{
    volatile uint8_t sum = 0;
    if (item->data == NULL) {
        if (item->size != 0)
            abort();
        return;
    }
    if (item->data < start || item->data > end || item->size > (size_t)(end - item->data))
        abort();
    for (size_t i = 0; i < item->size; i++)
        sum ^= item->data[i];
}

/* Reads a message both ways, and looks at all that was read. Returns how many requests there were. */
static int read_all(const uint8_t *data, size_t size)
{
    /* Memory of exactly that size, so that a sanitizer sees each byte too much. */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const uint8_t *end = copy + size;
    uint32_t count;
    int found = 0;

    Reader r = {copy, end};
    if (read_list(&r, &count) == 0) {
        QueueRequest q;
        while (count-- > 0 && read_queue_request(&r, &q) == 0) {
            const Item *items[] = {&q.rest, &q.method, &q.target, &q.path, &q.query, &q.address, &q.port, &q.length, &q.body};
            for (size_t i = 0; i < sizeof items / sizeof *items; i++)
                check(items[i], copy, end);
            if (r.at < copy || r.at > end)
                abort();
            found++;
        }
    }
    r = (Reader){copy, end};
    if (read_list(&r, &count) == 0) {
        EventRequest q;
        while (count-- > 0 && read_event_request(&r, &q) == 0) {
            const Item *items[] = {&q.rest, &q.method, &q.path, &q.raw_path, &q.query, &q.body};
            for (size_t i = 0; i < sizeof items / sizeof *items; i++)
                check(items[i], copy, end);
            if (q.has_client)
                check(&q.client_host, copy, end);
            if (r.at < copy || r.at > end)
                abort();
            found++;
        }
    }
    free(copy);
    return found;
}

static size_t put(uint8_t *to, const char *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return size;
}

#define PUT(bytes) at += put(to + at, bytes, sizeof bytes - 1)

static size_t queue_message(uint8_t *to)
{
    size_t at = 0;
    PUT("[\2\0\0\0");
    for (int i = 0; i < 2; i++) {
        PUT("(\13\0\0\0i\1\0\0\0s\20\0\0\0aaaaaaaabbbbbbbbs\3\0\0\0{0xz\3GETz\1/N");
        PUT("u\4\0\0\0\303\251\303\251a\2\0\0\0hiZ\5" "40000Ns\4\0\0\0body");
    }
    return at;
}

static size_t event_message(uint8_t *to)
{
    size_t at = 0;
    PUT("[\2\0\0\0");
    for (int i = 0; i < 2; i++) {
        PUT("(\4\0\0\0i\0\0\0\0i\1\0\0\2(\6\0\0\0s\3\0\0\0{0xz\3GETu\2\0\0\0\303\251s\1\0\0\0/s\0\0\0\0");
        if (i == 0)
            PUT("(\2\0\0\0z\4hosti\1\0\0\0");
        else
            PUT("N");
        PUT("s\0\0\0\0");
    }
    return at;
}

static size_t mutate(uint8_t *data, size_t size)
{
    static const char codes[] = "Niszaut[(ZA0l\377";
    for (uint64_t changes = next() % 5; changes > 0 && size > 0; changes--) {
        size_t place = next() % size;
        switch (next() % 6) {
        case 0:
            data[place] = (uint8_t)next();
            break;
        case 1:
            data[place] = (uint8_t)codes[next() % (sizeof codes - 1)];
            break;
        case 2: /* a length, often one that is about right */
            if (size - place >= 4) {
                uint32_t length = next() % 2 ? (uint32_t)next() : (uint32_t)(size - place + next() % 9 - 4);
                memcpy(data + place, &length, 4);
            }
            break;
        case 3:
            size = place;
            break;
        case 4:
            memmove(data + place, data + place + 1, size - place - 1);
            size--;
            break;
        case 5:
            if (size + 8 < MOST) {
                memmove(data + place + 8, data + place, size - place);
                size += 8;
            }
            break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    uint8_t data[MOST];
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    time_t end = time(NULL) + (time_t)seconds;
    unsigned long rounds = 0, found = 0;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (state == 0)
        state = 1;
    if (read_all(data, queue_message(data)) != 2 || read_all(data, event_message(data)) != 2) {
        fprintf(stderr, "what the front sends is not read\n");
        return 1;
    }
    if (seconds == 0) {
        read_all(data, fread(data, 1, sizeof data, stdin));
        return 0;
    }
    /* A number of rounds at least, however slow the machine is. */
    while (rounds < 200000 || time(NULL) < end) {
        size_t size = next() % 2 ? queue_message(data) : event_message(data);
        found += (unsigned long)read_all(data, mutate(data, size));
        rounds++;
    }
    printf("%lu messages, %lu requests in them\n", rounds, found);
    return 0;
}
