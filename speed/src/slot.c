#include "wsgi.h"

#include <time.h>

/* How long replies wait for those to the other requests of a batch, in ns. */
#define PATIENCE 2000000

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static PyObject *slot_run(Slot *self, PyObject *argument)
{
    Py_ssize_t length = PyLong_AsSsize_t(argument);
    uint32_t count, done;
    QueueRequest q;
    if (length == -1 && PyErr_Occurred())
        return NULL;
    if (length < 0 || length > self->message.len)
        return PyErr_Format(PyExc_ValueError, "a message of %zd bytes", length);
    const uint8_t *start = self->message.buf;
    Reader r = {start, start + length};
    if (read_list(&r, &count) < 0)
        return left_of(self->loads, self->buffer, 0);
    if (revoked_follow(&self->revoked) < 0)
        return NULL;
    self->in_batch = count > 1;
    int64_t until = self->in_batch ? now() + PATIENCE : 0;
    for (done = 0; done < count; done++) {
        if (read_queue_request(&r, &q) < 0)
            break;
        if (run_request(self, &q) < 0)
            return NULL;
        if (done + 1 < count && now() >= until && call_method(self->journal, name_flush, NULL) < 0)
            return NULL;
    }
    if (self->in_batch && call_method(self->journal, name_flush, NULL) < 0)
        return NULL;
    return done == count ? PyList_New(0) : left_of(self->loads, self->buffer, done);
}

static PyObject *slot_disarm(Slot *self, PyObject *unused)
{
    self->armed = 0;
    Py_RETURN_NONE;
}

#define OBJECTS(X)                                                                                              \
    X(app) X(worker) X(send) X(journal) X(common) X(known) X(loads) X(input) X(file_wrapper) X(buffer) X(recall) \
    X(whole) X(failed) X(respond) X(resume) X(refused) X(returned)

static int slot_init(Slot *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "app", "worker", "send", "journal", "common", "known", "loads", "input", "file_wrapper", "buffer", "recall",
        "whole", "failed", "respond", "resume", "refused", "returned", "revocations", "memory", "claim_at",
        "revocations_at", "journaled_at", "journal_at", "journal_size", "most_body", "most_message", "most_known",
        "limit", NULL};
    PyObject *revocations, *memory;
    Py_ssize_t claim_at, revocations_at, journaled_at, journal_at;
    if (self->app != NULL) {
        PyErr_SetString(PyExc_TypeError, "a slot is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOOOOO!OOOOOOOOOOOOOnnnnnnnnL", names, &self->app, &self->worker, &self->send,
            &self->journal, &self->common, &PyDict_Type, &self->known, &self->loads, &self->input, &self->file_wrapper, &self->buffer,
            &self->recall, &self->whole, &self->failed, &self->respond, &self->resume, &self->refused, &self->returned,
            &revocations, &memory, &claim_at, &revocations_at, &journaled_at, &journal_at, &self->journal_size,
            &self->most_body, &self->most_message, &self->most_known, &self->limit)) {
#define FORGET(name) self->name = NULL;
        OBJECTS(FORGET)
        return -1;
    }
#define KEEP(name) Py_INCREF(self->name);
    OBJECTS(KEEP)
    self->revoked.object = Py_NewRef(revocations);
    if (PyObject_GetBuffer(self->buffer, &self->message, PyBUF_SIMPLE) < 0 ||
        PyObject_GetBuffer(memory, &self->board, PyBUF_WRITABLE) < 0)
        return -1;
    Py_ssize_t size = self->board.len;
    if (!is_word(&self->board, claim_at) || !is_word(&self->board, claim_at + 8) ||
        !is_word(&self->board, revocations_at) || !is_word(&self->board, journaled_at) || journal_at < 0 ||
        self->journal_size < 0 || self->journal_size > size || journal_at > size - self->journal_size ||
        self->most_message < 1) {
        PyErr_SetString(PyExc_ValueError, "places outside of the scoreboard");
        return -1;
    }
    uint8_t *board = self->board.buf;
    self->claim = board + claim_at;
    self->revocations = board + revocations_at;
    self->journaled = board + journaled_at;
    self->journal_memory = board + journal_at;
    self->scratch = PyMem_Malloc((size_t)self->most_message);
    if (self->scratch == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->armed = 1;
    return revoked_refresh(&self->revoked);
}

static int slot_traverse(Slot *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
#define VISIT(name) Py_VISIT(self->name);
    OBJECTS(VISIT)
    Py_VISIT(self->revoked.object);
    for (int i = 0; i < KNOWN; i++)
        Py_VISIT(self->templates[i].template);
    return 0;
}

static int slot_clear(Slot *self)
{
#define CLEAR(name) Py_CLEAR(self->name);
    OBJECTS(CLEAR)
    Py_CLEAR(self->revoked.object);
    known_clear(self->templates);
    return 0;
}

static void slot_dealloc(Slot *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    slot_clear(self);
    if (self->message.obj != NULL)
        PyBuffer_Release(&self->message);
    if (self->board.obj != NULL)
        PyBuffer_Release(&self->board);
    PyMem_Free(self->scratch);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"run", (PyCFunction)slot_run, METH_O,
     "run(size) -> list\n\nRuns the requests of a message, and returns those that are not for this module."},
    {"disarm", (PyCFunction)slot_disarm, METH_NOARGS, "Is called in a fork of the process."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"in_batch", T_BOOL, offsetof(Slot, in_batch), READONLY, "Whether the message that it runs has several requests."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A slot of a worker that reads the queue."},
    {Py_tp_init, slot_init},
    {Py_tp_traverse, slot_traverse},
    {Py_tp_clear, slot_clear},
    {Py_tp_dealloc, slot_dealloc},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "indrik_speed.Slot",
    .basicsize = sizeof(Slot),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *make_slot_type(void)
{
    return PyType_FromSpec(&spec);
}
