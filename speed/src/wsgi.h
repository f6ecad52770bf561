/* A slot of a worker that reads the queue, and its responses. */

#ifndef INDRIK_WSGI_H
#define INDRIK_WSGI_H

#include "common.h"

typedef struct {
    PyObject_HEAD
    Py_buffer message; /* what the slot receives into */
    Py_buffer board;   /* the scoreboard */
    uint8_t *claim, *revocations, *journaled, *journal_memory;
    Py_ssize_t journal_size, most_body, most_message, most_known;
    uint8_t *scratch; /* of most_message bytes: where responses that go alone are written */
    long long limit;
    int armed; /* this is the process of the slot, and no fork of it */
    char in_batch;
    /* Objects of Python. */
    PyObject *app, *worker, *send, *journal, *common, *known, *loads, *input, *file_wrapper, *buffer;
    PyObject *recall, *whole, *failed, *respond, *resume, *refused, *returned;
    Revoked revoked;
    Known templates[KNOWN];
} Slot;

/* A response as long as nothing unusual has happened. Then it has a whole one, of Python, which
 * does everything from there on. */
typedef struct {
    PyObject_HEAD
    Slot *slot;
    PyObject *status, *headers; /* NULL: start_response was not called */
    PyObject *whole;
    uint32_t id;
    uint8_t claim[CLAIM_SIZE];
    int done;
} Response;

/* Claims a request, runs it unless it is revoked, and answers it. Returns 0, or -1 after an error
 * that ends the slot. */
int run_request(Slot *slot, const QueueRequest *request);

Response *response_new(Slot *slot, const QueueRequest *request);
PyObject *response_start_function(Response *response);
PyObject *response_hints_function(Response *response);
/* Returns the response of Python, a borrowed reference. */
PyObject *response_whole(Response *response);

#endif
