/* What the parts of the module share. */

#ifndef INDRIK_COMMON_H
#define INDRIK_COMMON_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>
#include <structmember.h>

#include "reader.h"
#include "writer.h"

/* The names that are looked up or set in objects, as texts that live as long as the module. */
#define NAMES(X)                                                                                                     \
    X(REQUEST_METHOD) X(RAW_URI) X(PATH_INFO) X(QUERY_STRING) X(REMOTE_ADDR) X(REMOTE_PORT) X(CONTENT_LENGTH)        \
    X(nr) X(reached_limit) X(close) X(start_response) X(write) X(early_hints) X(put) X(flush) X(include) X(seen)    \
    X(ids) X(method) X(path) X(raw_path) X(query_string) X(client) X(headers) X(asgi) X(extensions) \
    X(state) X(type) X(status) X(body) X(more_body) X(trailers) X(run) X(finish)
#define DECLARE_NAME(name) extern PyObject *name_##name;
NAMES(DECLARE_NAME)
#undef DECLARE_NAME
extern PyObject *name_input, *name_hints; /* "wsgi.input", "wsgi.early_hints" */

/* Makes a Python object of a value. */
PyObject *object_of(const Item *item);

/* Calls a function with up to three arguments. */
PyObject *call1(PyObject *function, PyObject *a);
PyObject *call2(PyObject *function, PyObject *a, PyObject *b);
PyObject *call3(PyObject *function, PyObject *a, PyObject *b, PyObject *c);

/* Returns the pending exception with its traceback, which is pending no more. */
PyObject *take_exception(void);

/* Reports whether a str is exact and of ASCII, and if so gives its characters. */
int ascii_of(PyObject *value, const char **data, Py_ssize_t *size);

int put_item(PyObject *dict, PyObject *key, const Item *item);

/* The last values of what requests have in common, with what a worker made of each. */
#define KNOWN 64
typedef struct {
    uint64_t hash;
    PyObject *bytes; /* NULL: there is none */
    PyObject *template;
} Known;

uint64_t known_hash(const Item *rest);
/* Returns what was made of a value, a borrowed reference; NULL if it is not there. */
PyObject *known_find(const Known *known, const Item *rest, uint64_t hash);
void known_put(Known *known, uint64_t hash, PyObject *bytes, PyObject *template);
void known_clear(Known *known);

/* Words of memory that is shared with the front. */
static inline uint64_t load_word(const uint8_t *at)
{
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_SEQ_CST);
}
static inline void store_word(uint8_t *at, uint64_t value)
{
    __atomic_store_n((uint64_t *)at, value, __ATOMIC_SEQ_CST);
}

/* The requests that the front has taken back, as a slot knows them: a copy of what the Python
 * object says, so that in the usual case it need not be asked. */
typedef struct {
    PyObject *object;
    uint64_t seen;
    uint32_t count;
    uint64_t ids[64];
} Revoked;

int revoked_refresh(Revoked *revoked);
/* Is revoked_refresh if the Python object knows more by now. */
int revoked_follow(Revoked *revoked);
/* Reports whether a request that was claimed is not to be run; -1 after an error. */
int is_revoked(Revoked *revoked, const uint8_t *word, uint32_t id);

/* Calls a method without an argument or with one. It is looked up each time: a fork replaces some. */
int call_method(PyObject *object, PyObject *name, PyObject *argument);
/* Gives up the result of a call: 0, or -1 if it has failed. */
int done_with(PyObject *result);

/* Counts a request of the worker, and calls its reached_limit if that is reached. */
int count_request(PyObject *worker, long long limit);

/* Returns what is left of a message from a request on, read by Python's own marshal. */
PyObject *left_of(PyObject *loads, PyObject *buffer, Py_ssize_t from);

/* Reports whether a word can be at this place of a scoreboard. */
int is_word(const Py_buffer *board, Py_ssize_t at);

PyObject *make_slot_type(void);
PyObject *make_response_type(void);
PyObject *make_server_type(void);
PyObject *make_conversation_type(void);

#endif
