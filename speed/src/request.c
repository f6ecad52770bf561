/* Runs one request of the queue. */

#include "wsgi.h"

#define REPLY_RESPONSE 0

/* Ends this process, since it is a fork that the app has made of the worker's. */
static int leave(Slot *slot)
{
    done_with(PyObject_CallNoArgs(slot->returned)); /* does not come back */
    return -1;
}

/* Sends a message, or keeps it in the journal. */
static int deliver(Slot *slot, PyObject *data)
{
    if (slot->in_batch)
        return call_method(slot->journal, name_put, data);
    return done_with(call1(slot->send, data));
}

/* Writes a response as marshal.dumps does. */
static void write_response(Writer *w, Response *response, const char *body, Py_ssize_t body_size)
{
    const char *data;
    Py_ssize_t size, count = PyList_Size(response->headers);
    write_header(w, '(', 5);
    write_header(w, 'i', REPLY_RESPONSE);
    write_data(w, 's', response->claim, CLAIM_SIZE);
    data = PyUnicode_AsUTF8AndSize(response->status, &size);
    write_data(w, 'u', data, (size_t)size);
    write_header(w, '[', (uint32_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_GetItem(response->headers, i);
        write_header(w, '(', 2);
        for (Py_ssize_t j = 0; j < 2; j++) {
            data = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(pair, j), &size);
            write_data(w, 'u', data, (size_t)size);
        }
    }
    write_data(w, 's', body, (size_t)body_size);
}

/* Answers a request with a body that is all here. Returns 1, 0 if it does not fit into a message,
 * or -1 after an error. */
static int answer(Slot *slot, Response *response, const char *body, Py_ssize_t size)
{
    Writer w;
    if (size > slot->most_body)
        return 0;
    if (!slot->armed)
        return leave(slot);
    if (slot->in_batch) {
        uint64_t at = load_word(slot->journaled);
        if (at > (uint64_t)slot->journal_size)
            at = (uint64_t)slot->journal_size;
        w = (Writer){slot->journal_memory + at, slot->journal_memory + slot->journal_size, 0};
        write_response(&w, response, body, size);
        if (!w.full) {
            response->done = 1;
            store_word(slot->journaled, (uint64_t)(w.at - slot->journal_memory));
            return 1;
        }
    }
    w = (Writer){slot->scratch, slot->scratch + slot->most_message, 0};
    write_response(&w, response, body, size);
    if (w.full)
        return 0;
    PyObject *data = PyBytes_FromStringAndSize((const char *)slot->scratch, w.at - slot->scratch);
    if (data == NULL)
        return -1;
    response->done = 1;
    int result = deliver(slot, data);
    Py_DECREF(data);
    return result < 0 ? -1 : 1;
}

/* Calls the method close of what an app has returned, also if an exception is pending, which
 * then stays so. */
static int close_result(PyObject *result)
{
    PyObject *error = PyErr_Occurred() ? take_exception() : NULL;
    PyObject *close = PyObject_GetAttr(result, name_close);
    int status = 0;
    if (close == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Clear();
        else
            status = -1;
    } else {
        status = done_with(PyObject_CallNoArgs(close));
        Py_DECREF(close);
    }
    if (error == NULL)
        return status;
    if (status < 0) {
        PyObject *second = take_exception();
        PyException_SetContext(second, error); /* takes the reference */
        error = second;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return -1;
}

/* Returns the length that the app has declared, -1 if that takes a closer look. */
static Py_ssize_t content_length(Response *response)
{
    static const char lower[] = "content-length";
    for (Py_ssize_t i = 0; i < PyList_Size(response->headers); i++) {
        PyObject *pair = PyList_GetItem(response->headers, i);
        Py_ssize_t size, value = 0;
        const char *data = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(pair, 0), &size);
        if (size != 14)
            continue;
        int k = 0;
        while (k < 14 && (data[k] >= 'A' && data[k] <= 'Z' ? data[k] | 0x20 : data[k]) == lower[k])
            k++;
        if (k < 14)
            continue;
        data = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(pair, 1), &size);
        if (size < 1 || size > 9)
            return -1;
        for (Py_ssize_t j = 0; j < size; j++) {
            if (data[j] < '0' || data[j] > '9')
                return -1;
            value = value * 10 + (data[j] - '0');
        }
        return value;
    }
    return -1;
}

/* Answers with what an iterable yields, which is one part as long as the app has declared, or
 * nothing. As soon as it is something else the response of Python goes on. */
static int iterate(Slot *slot, Response *response, PyObject *result)
{
    PyObject *each = PyObject_GetIter(result), *item = NULL;
    int status = -1;
    if (each == NULL)
        return close_result(result);
    while ((item = PyIter_Next(each)) != NULL) {
        Py_ssize_t size;
        if (!PyBytes_CheckExact(item))
            goto other;
        size = PyBytes_Size(item);
        if (size > 0 && !response->done) {
            if (response->whole != NULL || response->status == NULL || size != content_length(response))
                goto other;
            status = answer(slot, response, PyBytes_AsString(item), size);
            if (status < 0)
                goto done;
            if (status == 0)
                goto other;
        }
        if (response->whole != NULL)
            goto other; /* the app has called something that is rare */
        Py_CLEAR(item);
    }
    status = -1;
    if (PyErr_Occurred())
        goto done;
    status = 0;
    if (!response->done) {
        status = response->whole == NULL && response->status != NULL ? answer(slot, response, "", 0) : 0;
        if (status == 0) {
            item = PyBytes_FromStringAndSize("", 0);
            if (item != NULL)
                goto other;
            status = -1;
        }
    }
    goto done;
other:
    /* It closes the result too. */
    if (response_whole(response) != NULL) {
        status = done_with(PyObject_CallFunctionObjArgs(slot->resume, response->whole, result, item, each, NULL));
        Py_DECREF(each);
        Py_DECREF(item);
        return status;
    }
    status = -1;
done:
    Py_XDECREF(item);
    Py_DECREF(each);
    int closed = close_result(result);
    return status < 0 ? status : closed;
}

/* Sends the response that the app has returned. */
static int respond(Slot *slot, Response *response, PyObject *result, PyObject *environ)
{
    PyObject *item = NULL;
    int rare = response->whole != NULL;
    if (!rare && PyList_CheckExact(result) && PyList_Size(result) == 1)
        item = PyList_GetItem(result, 0);
    else if (!rare && PyTuple_CheckExact(result) && PyTuple_Size(result) == 1)
        item = PyTuple_GetItem(result, 0);
    if (item != NULL && PyBytes_CheckExact(item) && response->status != NULL) {
        int status = answer(slot, response, PyBytes_AsString(item), PyBytes_Size(item));
        if (status != 0)
            return status < 0 ? -1 : 0;
    }
    if (!rare && !PyList_Check(result) && !PyTuple_Check(result)) {
        int is_file = PyObject_IsInstance(result, slot->file_wrapper);
        if (is_file < 0)
            return close_result(result);
        if (!is_file)
            return iterate(slot, response, result);
    }
    if (response_whole(response) == NULL)
        return close_result(result);
    return done_with(call3(slot->respond, response->whole, result, environ));
}

/* Returns the part of an environ that requests have in common. */
static PyObject *template_of(Slot *slot, const Item *rest)
{
    uint64_t hash = known_hash(rest);
    PyObject *template = known_find(slot->templates, rest, hash);
    if (template != NULL)
        return Py_NewRef(template);
    PyObject *bytes = object_of(rest);
    if (bytes == NULL)
        return NULL;
    template = PyDict_GetItemWithError(slot->known, bytes);
    Py_XINCREF(template);
    if (template == NULL && !PyErr_Occurred())
        template = call3(slot->recall, slot->known, bytes, slot->common);
    if (template != NULL && rest->size <= (size_t)slot->most_known)
        known_put(slot->templates, hash, bytes, template);
    Py_DECREF(bytes);
    return template;
}

static PyObject *environ_of(Slot *slot, const QueueRequest *q)
{
    PyObject *template = template_of(slot, &q->rest);
    if (template == NULL)
        return NULL;
    PyObject *environ = PyDict_Copy(template);
    Py_DECREF(template);
    if (environ == NULL)
        return NULL;
    if (put_item(environ, name_REQUEST_METHOD, &q->method) < 0 || put_item(environ, name_RAW_URI, &q->target) < 0 ||
        put_item(environ, name_PATH_INFO, q->path.kind == ITEM_NONE ? &q->target : &q->path) < 0 ||
        put_item(environ, name_QUERY_STRING, &q->query) < 0 || put_item(environ, name_REMOTE_ADDR, &q->address) < 0 ||
        (q->port.kind != ITEM_NONE && put_item(environ, name_REMOTE_PORT, &q->port) < 0) ||
        (q->length.kind != ITEM_NONE && put_item(environ, name_CONTENT_LENGTH, &q->length) < 0)) {
        Py_DECREF(environ);
        return NULL;
    }
    return environ;
}

static int run_app(Slot *slot, Response *response, PyObject *environ, const Item *body)
{
    PyObject *bytes = object_of(body), *input = NULL, *hints = NULL, *start = NULL, *result = NULL;
    int status = -1;
    if (bytes == NULL || (input = call1(slot->input, bytes)) == NULL ||
        PyDict_SetItem(environ, name_input, input) < 0 || (hints = response_hints_function(response)) == NULL ||
        PyDict_SetItem(environ, name_hints, hints) < 0 || count_request(slot->worker, slot->limit) < 0 ||
        (start = response_start_function(response)) == NULL)
        goto done;
    result = call2(slot->app, environ, start);
    if (result != NULL)
        status = respond(slot, response, result, environ);
done:
    Py_XDECREF(bytes);
    Py_XDECREF(input);
    Py_XDECREF(hints);
    Py_XDECREF(start);
    Py_XDECREF(result);
    return status;
}

/* Handles an exception that has reached the server. */
static int fail(Slot *slot, Response *response, PyObject *environ)
{
    PyObject *error = take_exception();
    PyObject *whole = response_whole(response);
    PyObject *data = whole == NULL ? NULL : call3(slot->failed, error, whole, environ);
    Py_XDECREF(error);
    if (data == NULL)
        return -1;
    int status = data == Py_None ? 0 : deliver(slot, data);
    Py_DECREF(data);
    return status;
}

static int refuse(Slot *slot, const QueueRequest *q)
{
    PyObject *claim = PyBytes_FromStringAndSize((const char *)q->claim, CLAIM_SIZE);
    PyObject *result = claim == NULL ? NULL : call1(slot->refused, claim);
    Py_XDECREF(claim);
    return done_with(result);
}

int run_request(Slot *slot, const QueueRequest *q)
{
    uint64_t token, id;
    memcpy(&token, q->claim, 8);
    memcpy(&id, q->claim + 8, 8);
    store_word(slot->claim, token);
    store_word(slot->claim + 8, id);
    int revoked = is_revoked(&slot->revoked, slot->revocations, q->id);
    if (revoked != 0)
        return revoked < 0 ? -1 : refuse(slot, q);
    PyObject *environ = environ_of(slot, q);
    Response *response = environ == NULL ? NULL : response_new(slot, q);
    int status = -1;
    if (response != NULL) {
        status = run_app(slot, response, environ, &q->body);
        if (status < 0)
            status = fail(slot, response, environ);
    }
    Py_XDECREF(environ);
    Py_XDECREF((PyObject *)response);
    if (status == 0 && !slot->armed)
        return leave(slot);
    return status;
}
