#include "asgi.h"

#define ID_BITS 24


static int copy_item(PyObject *scope, PyObject *key, int is_list)
{
    PyObject *value = PyDict_GetItemWithError(scope, key), *copy;
    if (value == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, key);
        return -1;
    }
    copy = is_list ? PyList_GetSlice(value, 0, PY_SSIZE_T_MAX) : PyDict_Copy(value);
    if (copy == NULL)
        return -1;
    int result = PyDict_SetItem(scope, key, copy);
    Py_DECREF(copy);
    return result;
}

static int put_client(PyObject *scope, const EventRequest *q)
{
    if (!q->has_client)
        return PyDict_SetItem(scope, name_client, Py_None);
    PyObject *host = object_of(&q->client_host), *port = object_of(&q->client_port);
    PyObject *client = host == NULL || port == NULL ? NULL : PyTuple_Pack(2, host, port);
    Py_XDECREF(host);
    Py_XDECREF(port);
    if (client == NULL)
        return -1;
    int result = PyDict_SetItem(scope, name_client, client);
    Py_DECREF(client);
    return result;
}

/* Returns the part of a scope that requests have in common. */
static PyObject *template_of(Server *self, const Item *rest)
{
    uint64_t hash = known_hash(rest);
    PyObject *template = known_find(self->templates, rest, hash);
    if (template != NULL)
        return Py_NewRef(template);
    PyObject *bytes = object_of(rest);
    if (bytes == NULL)
        return NULL;
    template = PyDict_GetItemWithError(self->known, bytes);
    Py_XINCREF(template);
    if (template == NULL && !PyErr_Occurred())
        template = call1(self->recall, bytes);
    if (template != NULL && rest->size <= (size_t)self->most_known)
        known_put(self->templates, hash, bytes, template);
    Py_DECREF(bytes);
    return template;
}

static PyObject *scope_of(Server *self, PyObject *template, const EventRequest *q)
{
    PyObject *scope = PyDict_Copy(template), *state;
    if (scope == NULL)
        return NULL;
    if (put_item(scope, name_method, &q->method) < 0 || put_item(scope, name_path, &q->path) < 0 ||
        put_item(scope, name_raw_path, &q->raw_path) < 0 || put_item(scope, name_query_string, &q->query) < 0 ||
        put_client(scope, q) < 0 || copy_item(scope, name_headers, 1) < 0 || copy_item(scope, name_asgi, 0) < 0 ||
        copy_item(scope, name_extensions, 0) < 0 || (state = PyDict_Copy(self->state)) == NULL)
        goto failed;
    int result = PyDict_SetItem(scope, name_state, state);
    Py_DECREF(state);
    if (result == 0)
        return scope;
failed:
    Py_DECREF(scope);
    return NULL;
}

/* Begins a request that is claimed. */
static int begin(Server *self, PyObject *template, const EventRequest *q)
{
    PyObject *scope = scope_of(self, template, q), *run = NULL, *task = NULL, *id = NULL, *method = NULL, *args;
    Conversation *conversation = scope == NULL ? NULL : (Conversation *)PyObject_CallNoArgs(self->conversation);
    int status = -1;
    if (conversation == NULL)
        goto done;
    conversation->server = (Server *)Py_NewRef((PyObject *)self);
    conversation->id = q->id;
    replace(&conversation->scope, Py_NewRef(scope));
    PyObject *body = object_of(&q->body);
    if (body == NULL)
        goto done;
    replace(&conversation->body, body);
    if ((id = PyLong_FromUnsignedLong(q->id)) == NULL ||
        PyDict_SetItem(self->requests, id, (PyObject *)conversation) < 0 || count_request(self->worker, self->limit) < 0 ||
        (method = PyObject_GetAttr((PyObject *)conversation, name_run)) == NULL ||
        (run = call2(method, self->app, scope)) == NULL || (args = PyTuple_Pack(1, run)) == NULL)
        goto done;
    task = PyObject_Call(self->task, args, self->task_options);
    Py_DECREF(args);
    if (task == NULL)
        goto done;
    replace(&conversation->task, Py_NewRef(task));
    status = 0;
done:
    Py_XDECREF(scope);
    Py_XDECREF(run);
    Py_XDECREF(task);
    Py_XDECREF(id);
    Py_XDECREF(method);
    Py_XDECREF((PyObject *)conversation);
    return status;
}

/* Begins a request if it is usual: 1, 0 if it is not, -1 after an error. */
static int take_request(Server *self, Reader *r)
{
    EventRequest q;
    if (self->stopping || (self->hooks != NULL && self->hooks != Py_None) || read_event_request(r, &q) < 0)
        return 0;
    PyObject *template = template_of(self, &q.rest);
    if (template == NULL)
        return -1;
    PyObject *kind = PyDict_GetItemWithError(template, name_type);
    int status = kind == NULL && PyErr_Occurred() ? -1 : 0;
    if (kind != NULL && is_text_of(kind, "http")) {
        store_word(self->claimed, q.id);
        status = is_revoked(&self->revoked, self->revocations, q.id);
        if (status > 0 || (status == 0 && (uint64_t)(q.id >> ID_BITS) + 1 != load_word(self->front)))
            status = 0; /* the Python code does what is to be done */
        else if (status == 0)
            status = begin(self, template, &q) < 0 ? -1 : 1;
    }
    Py_DECREF(template);
    return status;
}

static PyObject *server_begin_usual(Server *self, PyObject *argument)
{
    Py_ssize_t length = PyLong_AsSsize_t(argument);
    uint32_t count, done = 0;
    if (length == -1 && PyErr_Occurred())
        return NULL;
    if (self->scratch == NULL || length < 0 || length > self->message.len)
        return PyErr_Format(PyExc_ValueError, "a message of %zd bytes", length);
    const uint8_t *start = self->message.buf;
    Reader r = {start, start + length};
    if (read_list(&r, &count) < 0)
        return left_of(self->loads, self->buffer, 0);
    if (revoked_follow(&self->revoked) < 0)
        return NULL;
    for (; done < count; done++) {
        int taken = take_request(self, &r);
        if (taken < 0)
            return NULL;
        if (taken == 0)
            break;
    }
    return done == count ? PyList_New(0) : left_of(self->loads, self->buffer, done);
}

#define OBJECTS(X) X(buffer) X(loads) X(task) X(task_options) X(conversation) X(recall) X(known)
#define ATTRIBUTES(X) X(out) X(requests) X(state) X(app) X(hooks) X(worker)

static PyObject *server_prepare(Server *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "loads", "task", "task_options", "conversation", "recall", "known", "revocations",
                            "memory", "claimed_at", "revocations_at", "front_at", "most_body", "most_message", "most_known", NULL};
    PyObject *buffer, *loads, *task, *task_options, *conversation, *recall, *known, *revocations, *memory;
    Py_ssize_t claimed_at, revocations_at, front_at;
    if (self->buffer != NULL)
        return PyErr_Format(PyExc_TypeError, "a server is prepared once");
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOOO!OOO!OOnnnnnn", names, &buffer, &loads, &task, &PyDict_Type,
                                     &task_options, &conversation, &recall, &PyDict_Type, &known, &revocations, &memory,
                                     &claimed_at, &revocations_at, &front_at, &self->most_body, &self->most_message,
                                     &self->most_known))
        return NULL;
#define TAKE(name) self->name = Py_NewRef(name);
    OBJECTS(TAKE)
    self->revoked.object = Py_NewRef(revocations);
    if (PyObject_GetBuffer(buffer, &self->message, PyBUF_SIMPLE) < 0 ||
        PyObject_GetBuffer(memory, &self->board, PyBUF_WRITABLE) < 0)
        return NULL;
    if (!is_word(&self->board, claimed_at) || !is_word(&self->board, revocations_at) ||
        !is_word(&self->board, front_at) || self->most_message < 1)
        return PyErr_Format(PyExc_ValueError, "places outside of the scoreboard");
    uint8_t *board = self->board.buf;
    self->claimed = board + claimed_at;
    self->revocations = board + revocations_at;
    self->front = board + front_at;
    self->scratch = PyMem_Malloc((size_t)self->most_message);
    if (self->scratch == NULL)
        return PyErr_NoMemory();
    if (revoked_refresh(&self->revoked) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int server_traverse(Server *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
#define VISIT(name) Py_VISIT(self->name);
    OBJECTS(VISIT)
    ATTRIBUTES(VISIT)
    Py_VISIT(self->revoked.object);
    for (int i = 0; i < KNOWN; i++)
        Py_VISIT(self->templates[i].template);
    return 0;
}

static int server_clear(Server *self)
{
#define CLEAR(name) Py_CLEAR(self->name);
    OBJECTS(CLEAR)
    ATTRIBUTES(CLEAR)
    Py_CLEAR(self->revoked.object);
    known_clear(self->templates);
    return 0;
}

static void server_dealloc(Server *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    server_clear(self);
    if (self->message.obj != NULL)
        PyBuffer_Release(&self->message);
    if (self->board.obj != NULL)
        PyBuffer_Release(&self->board);
    PyMem_Free(self->scratch);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#define SERVER_PLACE(name, kind) {#name, kind, offsetof(Server, name), 0, NULL}

static PyMemberDef server_members[] = {
    SERVER_PLACE(out, T_OBJECT),    SERVER_PLACE(requests, T_OBJECT), SERVER_PLACE(state, T_OBJECT),
    SERVER_PLACE(app, T_OBJECT),    SERVER_PLACE(hooks, T_OBJECT),    SERVER_PLACE(worker, T_OBJECT),
    SERVER_PLACE(size, T_PYSSIZET), SERVER_PLACE(limit, T_LONGLONG),  SERVER_PLACE(corked, T_BOOL),
    SERVER_PLACE(stopping, T_BOOL), {NULL, 0, 0, 0, NULL},
};

static PyMethodDef server_methods[] = {
    {"prepare", (PyCFunction)(void (*)(void))server_prepare, METH_VARARGS | METH_KEYWORDS, NULL},
    {"begin_usual", (PyCFunction)server_begin_usual, METH_O,
     "begin_usual(size) -> list\n\nBegins the requests of a message, and returns what is not for this module."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot server_slots[] = {
    {Py_tp_doc, "The base of a server of ASGI."},
    {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_members, server_members},
    {Py_tp_methods, server_methods},
    {0, NULL},
};

static PyType_Spec server_spec = {
    .name = "indrik_speed.Server",
    .basicsize = sizeof(Server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = server_slots,
};

PyObject *make_server_type(void)
{
    return PyType_FromSpec(&server_spec);
}
