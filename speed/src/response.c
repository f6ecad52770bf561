#include "wsgi.h"

static PyTypeObject *response_type;

Response *response_new(Slot *slot, const QueueRequest *request)
{
    Response *response = PyObject_GC_New(Response, response_type);
    if (response == NULL)
        return NULL;
    response->slot = (Slot *)Py_NewRef((PyObject *)slot);
    response->status = response->headers = response->whole = NULL;
    response->id = request->id;
    memcpy(response->claim, request->claim, CLAIM_SIZE);
    response->done = 0;
    PyObject_GC_Track(response);
    return response;
}

static int response_traverse(Response *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->slot);
    Py_VISIT(self->headers);
    Py_VISIT(self->whole);
    return 0;
}

static int response_clear(Response *self)
{
    Py_CLEAR(self->headers);
    Py_CLEAR(self->whole);
    return 0;
}

static void response_dealloc(Response *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)self->slot);
    Py_XDECREF(self->status);
    Py_XDECREF(self->headers);
    Py_XDECREF(self->whole);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

PyObject *response_whole(Response *self)
{
    if (self->whole == NULL)
        self->whole = PyObject_CallFunction(
            self->slot->whole, "Iy#OOO", (unsigned)self->id, self->claim, (Py_ssize_t)CLAIM_SIZE,
            self->status == NULL ? Py_None : self->status, self->headers == NULL ? Py_None : self->headers,
            self->done ? Py_True : Py_False);
    return self->whole;
}

/* Has the whole response do it. */
static PyObject *forward(Response *self, PyObject *name, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    PyObject *whole = response_whole(self), *method = NULL, *result = NULL;
    PyObject *positional = PyTuple_New(count), *keywords = NULL;
    if (whole == NULL || positional == NULL || (method = PyObject_GetAttr(whole, name)) == NULL)
        goto done;
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SetItem(positional, i, Py_NewRef(args[i]));
    if (kwnames != NULL) {
        if ((keywords = PyDict_New()) == NULL)
            goto done;
        for (Py_ssize_t i = 0; i < PyTuple_Size(kwnames); i++)
            if (PyDict_SetItem(keywords, PyTuple_GetItem(kwnames, i), args[count + i]) < 0)
                goto done;
    }
    result = PyObject_Call(method, positional, keywords);
done:
    Py_XDECREF(method);
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

static PyObject *response_write(Response *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return forward(self, name_write, args, count, kwnames);
}

static PyObject *response_hints(Response *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    return forward(self, name_early_hints, args, count, kwnames);
}

/* Reports whether headers are a list of pairs of texts of ASCII, each of the exact type. */
static int are_plain(PyObject *headers)
{
    const char *data;
    Py_ssize_t size;
    for (Py_ssize_t i = 0; i < PyList_Size(headers); i++) {
        PyObject *pair = PyList_GetItem(headers, i);
        if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2 || !ascii_of(PyTuple_GetItem(pair, 0), &data, &size) ||
            !ascii_of(PyTuple_GetItem(pair, 1), &data, &size))
            return 0;
    }
    return 1;
}

static PyMethodDef write_def = {"write", (PyCFunction)(void (*)(void))response_write, METH_FASTCALL | METH_KEYWORDS, NULL};

static PyObject *response_start(Response *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    const char *data;
    Py_ssize_t size;
    if (kwnames == NULL && (count == 2 || (count == 3 && args[2] == Py_None)) && self->status == NULL &&
        self->whole == NULL && PyList_CheckExact(args[1]) && ascii_of(args[0], &data, &size)) {
        PyObject *headers = PyList_GetSlice(args[1], 0, PY_SSIZE_T_MAX); /* the app may change its own later */
        if (headers == NULL)
            return NULL;
        if (are_plain(headers)) {
            self->status = Py_NewRef(args[0]);
            self->headers = headers;
            return PyCFunction_New(&write_def, (PyObject *)self);
        }
        Py_DECREF(headers);
    }
    return forward(self, name_start_response, args, count, kwnames);
}

static PyMethodDef start_def = {
    "start_response", (PyCFunction)(void (*)(void))response_start, METH_FASTCALL | METH_KEYWORDS, NULL};
static PyMethodDef hints_def = {
    "early_hints", (PyCFunction)(void (*)(void))response_hints, METH_FASTCALL | METH_KEYWORDS, NULL};

PyObject *response_start_function(Response *self)
{
    return PyCFunction_New(&start_def, (PyObject *)self);
}

PyObject *response_hints_function(Response *self)
{
    return PyCFunction_New(&hints_def, (PyObject *)self);
}

static PyType_Slot slots[] = {
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_dealloc, response_dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "indrik_speed.Response",
    .basicsize = sizeof(Response),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *make_response_type(void)
{
    PyObject *type = PyType_FromSpec(&spec);
    response_type = (PyTypeObject *)type;
    return type;
}
