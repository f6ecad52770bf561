/* Reads what the front sends: a part of Python's marshal format, as docs/protocol.md has it.
 *
 * Nothing here knows of Python, so that it can be fuzzed by itself. Each length is compared with
 * what is left of the message before it is used, and nothing is copied: what is read points into
 * the message. What is not of the usual kind is refused: then Python's own marshal reads it. */

#ifndef INDRIK_READER_H
#define INDRIK_READER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at, *end;
} Reader;

typedef enum {
    ITEM_NONE,
    ITEM_INT,
    ITEM_BYTES,
    ITEM_LATIN1, /* a text, one byte for each character */
    ITEM_UTF8,   /* a text in UTF-8, which may have surrogates */
} ItemKind;

/* A value that has no others in it. */
typedef struct {
    ItemKind kind;
    int32_t number;      /* of ITEM_INT */
    const uint8_t *data; /* of bytes and texts */
    size_t size;
} Item;

#define CLAIM_SIZE 16

/* A request of the queue. */
typedef struct {
    uint32_t id;
    uint8_t claim[CLAIM_SIZE];
    Item rest, method, target, path, query, address, port, length, body;
} QueueRequest;

/* A request for an event loop. */
typedef struct {
    uint32_t id;
    Item rest, method, path, raw_path, query;
    int has_client;
    const uint8_t *client; /* how it was written, for comparison */
    size_t client_size;
    Item client_host, client_port;
    Item body;
} EventRequest;

/* These return 0, or -1 if something else comes, or too little. Then the reader's place means nothing. */
int read_list(Reader *r, uint32_t *count);
int read_item(Reader *r, Item *item);
int read_queue_request(Reader *r, QueueRequest *request);
int read_event_request(Reader *r, EventRequest *request);

#endif
