/* The server of an ASGI worker, and its conversations of HTTP. */

#ifndef INDRIK_ASGI_H
#define INDRIK_ASGI_H

#include "common.h"

/* The base of an ASGIServer: its messages, and what each request needs of it. */
typedef struct {
    PyObject_HEAD
    Py_buffer message, board;
    uint8_t *claimed, *revocations, *front;
    Py_ssize_t most_body, most_message, most_known;
    uint8_t *scratch; /* of most_message bytes: where responses are written */
    PyObject *buffer, *loads, *task, *task_options, *conversation, *recall, *known;
    /* Attributes of the Python object. */
    PyObject *out, *requests, *state, *app, *hooks, *worker;
    Py_ssize_t size;
    long long limit;
    char corked, stopping;
    Revoked revoked;
    Known templates[KNOWN];
} Server;

/* The base of an HTTPConversation: attributes in fixed places, and the usual messages. */
typedef struct {
    PyObject_HEAD
    Server *server;
    PyObject *scope, *task, *body, *status, *headers, *trailing, *sent, *readers;
    unsigned int id;
    int phase;
    char gone, done, more, sending;
} Conversation;

/* Reports whether an object is this text. */
int is_text_of(PyObject *object, const char *text);

/* Puts an object in a place, which takes the reference. */
void replace(PyObject **place, PyObject *object);

#endif
