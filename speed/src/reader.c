#include "reader.h"

#include <string.h>

#define QUEUE_ITEMS 11
#define EVENT_ITEMS 4
#define SCOPE_ITEMS 6
#define EVENT_REQUEST 0

static size_t left(const Reader *r)
{
    return (size_t)(r->end - r->at);
}

static int read_uint32(Reader *r, uint32_t *value)
{
    if (left(r) < 4)
        return -1;
    *value = (uint32_t)r->at[0] | (uint32_t)r->at[1] << 8 | (uint32_t)r->at[2] << 16 | (uint32_t)r->at[3] << 24;
    r->at += 4;
    return 0;
}

static int read_code(Reader *r, uint8_t code)
{
    if (left(r) < 1 || *r->at != code)
        return -1;
    r->at++;
    return 0;
}

static int read_header(Reader *r, uint8_t code, uint32_t *count)
{
    return read_code(r, code) < 0 ? -1 : read_uint32(r, count);
}

static int read_tuple(Reader *r, uint32_t items)
{
    uint32_t count;
    return read_header(r, '(', &count) < 0 || count != items ? -1 : 0;
}

int read_list(Reader *r, uint32_t *count)
{
    return read_header(r, '[', count);
}

static int take(Reader *r, Item *item, ItemKind kind, size_t size)
{
    if (left(r) < size)
        return -1;
    item->kind = kind;
    item->data = r->at;
    item->size = size;
    r->at += size;
    return 0;
}

static int take_long(Reader *r, Item *item, ItemKind kind)
{
    uint32_t size;
    return read_uint32(r, &size) < 0 ? -1 : take(r, item, kind, size);
}

int read_item(Reader *r, Item *item)
{
    uint32_t number;
    uint8_t size;

    item->number = 0;
    item->data = NULL;
    item->size = 0;
    if (left(r) < 1)
        return -1;
    switch (*r->at++) {
    case 'N':
        item->kind = ITEM_NONE;
        return 0;
    case 'i':
        if (read_uint32(r, &number) < 0)
            return -1;
        item->kind = ITEM_INT;
        memcpy(&item->number, &number, sizeof number);
        return 0;
    case 's':
        return take_long(r, item, ITEM_BYTES);
    case 'z':
    case 'Z':
        if (left(r) < 1)
            return -1;
        size = *r->at++;
        return take(r, item, ITEM_LATIN1, size);
    case 'a':
    case 'A':
        return take_long(r, item, ITEM_LATIN1);
    case 'u':
        return take_long(r, item, ITEM_UTF8);
    }
    return -1;
}

static int read_bytes(Reader *r, Item *item)
{
    return read_item(r, item) < 0 || item->kind != ITEM_BYTES ? -1 : 0;
}

static int is_text(const Item *item)
{
    return item->kind == ITEM_LATIN1 || item->kind == ITEM_UTF8;
}

static int read_text(Reader *r, Item *item)
{
    return read_item(r, item) < 0 || !is_text(item) ? -1 : 0;
}

static int read_text_or_none(Reader *r, Item *item)
{
    return read_item(r, item) < 0 || !(is_text(item) || item->kind == ITEM_NONE) ? -1 : 0;
}

static int read_number(Reader *r, Item *item)
{
    return read_item(r, item) < 0 || item->kind != ITEM_INT ? -1 : 0;
}

static int read_id(Reader *r, uint32_t *id)
{
    Item item;
    if (read_number(r, &item) < 0 || item.number < 1)
        return -1;
    *id = (uint32_t)item.number;
    return 0;
}

int read_queue_request(Reader *r, QueueRequest *q)
{
    Item claim;
    if (read_tuple(r, QUEUE_ITEMS) < 0 || read_id(r, &q->id) < 0 || read_bytes(r, &claim) < 0 || claim.size != CLAIM_SIZE)
        return -1;
    memcpy(q->claim, claim.data, CLAIM_SIZE);
    if (read_bytes(r, &q->rest) < 0 || read_text(r, &q->method) < 0 || read_text(r, &q->target) < 0 ||
        read_text_or_none(r, &q->path) < 0 || read_text(r, &q->query) < 0 || read_text(r, &q->address) < 0 ||
        read_text_or_none(r, &q->port) < 0 || read_text_or_none(r, &q->length) < 0)
        return -1;
    return read_bytes(r, &q->body);
}

static int read_client(Reader *r, EventRequest *q)
{
    Item none;
    q->client = r->at;
    q->has_client = left(r) > 0 && *r->at == '(';
    if (q->has_client) {
        if (read_tuple(r, 2) < 0 || read_text(r, &q->client_host) < 0 || read_number(r, &q->client_port) < 0)
            return -1;
    } else if (read_item(r, &none) < 0 || none.kind != ITEM_NONE) {
        return -1;
    }
    q->client_size = (size_t)(r->at - q->client);
    return 0;
}

int read_event_request(Reader *r, EventRequest *q)
{
    Item kind;
    if (read_tuple(r, EVENT_ITEMS) < 0 || read_number(r, &kind) < 0 || kind.number != EVENT_REQUEST || read_id(r, &q->id) < 0)
        return -1;
    if (read_tuple(r, SCOPE_ITEMS) < 0 || read_bytes(r, &q->rest) < 0 || read_text(r, &q->method) < 0 ||
        read_text(r, &q->path) < 0 || read_bytes(r, &q->raw_path) < 0 || read_bytes(r, &q->query) < 0 || read_client(r, q) < 0)
        return -1;
    return read_bytes(r, &q->body);
}
