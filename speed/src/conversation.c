#include "asgi.h"

#define REPLY_RESPONSE 0

/* How far a response is, as in asgihttp.py. */
enum { PHASE_NEW, PHASE_HEAD, PHASE_BODY, PHASE_TRAILING, PHASE_DONE };


static void write_response(Writer *w, Conversation *self, const char *body, Py_ssize_t body_size)
{
    Py_ssize_t count = PyList_Size(self->headers);
    write_header(w, '(', 5);
    write_header(w, 'i', REPLY_RESPONSE);
    write_header(w, 'i', self->id);
    write_header(w, 'i', (uint32_t)PyLong_AsLong(self->status));
    write_header(w, '[', (uint32_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_GetItem(self->headers, i);
        write_header(w, '(', 2);
        for (Py_ssize_t j = 0; j < 2; j++) {
            PyObject *text = PyTuple_GetItem(pair, j);
            write_data(w, 's', PyBytes_AsString(text), (size_t)PyBytes_Size(text));
        }
    }
    write_data(w, 's', body, (size_t)body_size);
}

/* Returns a list of its own of headers that are pairs of bytes, each of the exact type; None for others. */
static PyObject *plain_headers(PyObject *given)
{
    PyObject *headers;
    if (given == NULL)
        return PyList_New(0);
    if (!PyList_CheckExact(given))
        return Py_NewRef(Py_None);
    headers = PyList_GetSlice(given, 0, PY_SSIZE_T_MAX);
    if (headers == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_Size(headers); i++) {
        PyObject *pair = PyList_GetItem(headers, i);
        if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2 || !PyBytes_CheckExact(PyTuple_GetItem(pair, 0)) ||
            !PyBytes_CheckExact(PyTuple_GetItem(pair, 1))) {
            Py_DECREF(headers);
            return Py_NewRef(Py_None);
        }
    }
    return headers;
}

int is_text_of(PyObject *object, const char *text)
{
    return PyUnicode_CheckExact(object) && PyUnicode_CompareWithASCIIString(object, text) == 0;
}

void replace(PyObject **place, PyObject *object)
{
    PyObject *old = *place;
    *place = object;
    Py_XDECREF(old);
}

/* Takes http.response.start: 1, 0 if it is unusual, -1 after an error. */
static int take_start(Conversation *self, PyObject *message)
{
    PyObject *status = PyDict_GetItemWithError(message, name_status);
    if (status == NULL || !PyLong_CheckExact(status))
        return PyErr_Occurred() ? -1 : 0;
    int overflow;
    long number = PyLong_AsLongAndOverflow(status, &overflow);
    if (overflow || number < 100 || number > 999)
        return 0;
    PyObject *given = PyDict_GetItemWithError(message, name_headers);
    if (given == NULL && PyErr_Occurred())
        return -1;
    PyObject *trailers = PyDict_GetItemWithError(message, name_trailers);
    if (trailers == NULL && PyErr_Occurred())
        return -1;
    PyObject *headers = plain_headers(given);
    if (headers == NULL)
        return -1;
    if (headers == Py_None) {
        Py_DECREF(headers);
        return 0;
    }
    replace(&self->status, Py_NewRef(status));
    replace(&self->headers, headers);
    replace(&self->trailing, Py_NewRef(trailers == NULL ? Py_False : trailers));
    self->phase = PHASE_HEAD;
    return 1;
}

/* Takes http.response.body if it is the whole body: 1, 0 if it is unusual, -1 after an error. */
static int take_body(Conversation *self, PyObject *message)
{
    Server *server = self->server;
    Py_ssize_t size = 0;
    const char *data = "";
    if (self->sending || self->trailing == NULL || PyObject_IsTrue(self->trailing) != 0)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *more = PyDict_GetItemWithError(message, name_more_body);
    if (more == NULL ? PyErr_Occurred() != NULL : PyObject_IsTrue(more) != 0)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *body = PyDict_GetItemWithError(message, name_body);
    if (body == NULL) {
        if (PyErr_Occurred())
            return -1;
    } else {
        if (!PyBytes_CheckExact(body))
            return 0;
        size = PyBytes_Size(body);
        data = PyBytes_AsString(body);
    }
    if (size > server->most_body || !PyList_CheckExact(self->headers) || !PyLong_CheckExact(self->status))
        return 0;
    Writer w = {server->scratch, server->scratch + server->most_message, 0};
    write_response(&w, self, data, size);
    if (w.full)
        return 0;
    Py_ssize_t length = w.at - server->scratch;
    PyObject *reply = PyBytes_FromStringAndSize((const char *)server->scratch, length);
    PyObject *sent = PyLong_FromSsize_t(size);
    int result = -1;
    if (reply == NULL || sent == NULL) {
        Py_XDECREF(sent);
        goto done;
    }
    self->phase = PHASE_DONE;
    replace(&self->sent, sent);
    if (server->corked && (self->readers == NULL || self->readers == Py_None) && PyList_CheckExact(server->out) &&
        server->size + length <= server->most_message) {
        self->done = 1;
        result = PyList_Append(server->out, reply) < 0 ? -1 : 1;
        server->size += length;
    } else {
        result = call_method((PyObject *)self, name_finish, reply) < 0 ? -1 : 1;
    }
done:
    Py_XDECREF(reply);
    return result;
}

static PyObject *conversation_takes(Conversation *self, PyObject *message)
{
    int taken = 0;
    if (self->server != NULL && PyDict_CheckExact(message) && !self->gone) {
        PyObject *kind = PyDict_GetItemWithError(message, name_type);
        if (kind == NULL && PyErr_Occurred())
            return NULL;
        if (kind == NULL)
            taken = 0;
        else if (self->phase == PHASE_NEW && is_text_of(kind, "http.response.start"))
            taken = take_start(self, message);
        else if (self->phase == PHASE_HEAD && is_text_of(kind, "http.response.body"))
            taken = take_body(self, message);
    }
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static PyObject *request_text;

static PyObject *conversation_received(Conversation *self, PyObject *unused)
{
    if (self->body == NULL || self->body == Py_None || self->gone || self->phase == PHASE_DONE)
        Py_RETURN_NONE;
    PyObject *message = PyDict_New();
    if (message == NULL || PyDict_SetItem(message, name_type, request_text) < 0 ||
        PyDict_SetItem(message, name_body, self->body) < 0 ||
        PyDict_SetItem(message, name_more_body, self->more ? Py_True : Py_False) < 0) {
        Py_XDECREF(message);
        return NULL;
    }
    Py_CLEAR(self->body);
    return message;
}

static int conversation_traverse(Conversation *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->server);
    Py_VISIT(self->scope);
    Py_VISIT(self->task);
    Py_VISIT(self->headers);
    Py_VISIT(self->trailing);
    Py_VISIT(self->readers);
    return 0;
}

static int conversation_clear(Conversation *self)
{
    PyObject *server = (PyObject *)self->server;
    self->server = NULL;
    Py_XDECREF(server);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->task);
    Py_CLEAR(self->body);
    Py_CLEAR(self->status);
    Py_CLEAR(self->headers);
    Py_CLEAR(self->trailing);
    Py_CLEAR(self->sent);
    Py_CLEAR(self->readers);
    return 0;
}

static void conversation_dealloc(Conversation *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    conversation_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#define PLACE(name, kind) {#name, kind, offsetof(Conversation, name), 0, NULL}

static PyMemberDef conversation_members[] = {
    PLACE(scope, T_OBJECT),    PLACE(task, T_OBJECT),    PLACE(body, T_OBJECT),    PLACE(status, T_OBJECT),
    PLACE(headers, T_OBJECT),  PLACE(trailing, T_OBJECT), PLACE(sent, T_OBJECT),   PLACE(readers, T_OBJECT),
    PLACE(id, T_UINT),        PLACE(phase, T_INT),      PLACE(gone, T_BOOL),
    PLACE(done, T_BOOL),       PLACE(more, T_BOOL),      PLACE(sending, T_BOOL),   {NULL, 0, 0, 0, NULL},
};

static PyMethodDef conversation_methods[] = {
    {"takes", (PyCFunction)conversation_takes, METH_O,
     "takes(message) -> bool\n\nSends a message of the app if it is a usual one; False: it has done nothing."},
    {"received", (PyCFunction)conversation_received, METH_NOARGS,
     "received() -> dict or None\n\nReturns the message with the body that came with the request."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot conversation_slots[] = {
    {Py_tp_doc, "The base of a conversation of HTTP."},
    {Py_tp_traverse, conversation_traverse},
    {Py_tp_clear, conversation_clear},
    {Py_tp_dealloc, conversation_dealloc},
    {Py_tp_members, conversation_members},
    {Py_tp_methods, conversation_methods},
    {0, NULL},
};

static PyType_Spec conversation_spec = {
    .name = "indrik_speed.Conversation",
    .basicsize = sizeof(Conversation),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = conversation_slots,
};

PyObject *make_conversation_type(void)
{
    if (request_text == NULL && (request_text = PyUnicode_InternFromString("http.request")) == NULL)
        return NULL;
    return PyType_FromSpec(&conversation_spec);
}
