#include "common.h"

#define DEFINE_NAME(name) PyObject *name_##name;
NAMES(DEFINE_NAME)
#undef DEFINE_NAME
PyObject *name_input, *name_hints;

PyObject *object_of(const Item *item)
{
    switch (item->kind) {
    case ITEM_NONE:
        break;
    case ITEM_INT:
        return PyLong_FromLong(item->number);
    case ITEM_BYTES:
        return PyBytes_FromStringAndSize((const char *)item->data, (Py_ssize_t)item->size);
    case ITEM_LATIN1:
        return PyUnicode_DecodeLatin1((const char *)item->data, (Py_ssize_t)item->size, NULL);
    case ITEM_UTF8:
        return PyUnicode_DecodeUTF8((const char *)item->data, (Py_ssize_t)item->size, "surrogatepass");
    }
    return Py_NewRef(Py_None);
}

static PyObject *call(PyObject *function, PyObject *args)
{
    if (args == NULL)
        return NULL;
    PyObject *result = PyObject_Call(function, args, NULL);
    Py_DECREF(args);
    return result;
}

PyObject *call1(PyObject *function, PyObject *a)
{
    return call(function, PyTuple_Pack(1, a));
}

PyObject *call2(PyObject *function, PyObject *a, PyObject *b)
{
    return call(function, PyTuple_Pack(2, a, b));
}

PyObject *call3(PyObject *function, PyObject *a, PyObject *b, PyObject *c)
{
    return call(function, PyTuple_Pack(3, a, b, c));
}

PyObject *take_exception(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

int ascii_of(PyObject *value, const char **data, Py_ssize_t *size)
{
    if (!PyUnicode_CheckExact(value))
        return 0;
    *data = PyUnicode_AsUTF8AndSize(value, size);
    if (*data == NULL) {
        PyErr_Clear(); /* a surrogate */
        return 0;
    }
    return *size == PyUnicode_GetLength(value);
}

int put_item(PyObject *dict, PyObject *key, const Item *item)
{
    PyObject *value = object_of(item);
    if (value == NULL)
        return -1;
    int result = PyDict_SetItem(dict, key, value);
    Py_DECREF(value);
    return result;
}

/* It need not resist those who look for collisions: a value replaces the one in its place. */
static uint64_t hash_of(const uint8_t *data, size_t size)
{
    uint64_t hash = size * 0x9e3779b97f4a7c15u, word;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&word, data, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 32;
    }
    for (word = 0; size > 0; size--)
        word = word << 8 | *data++;
    hash = (hash ^ word) * 0x9fb21c651e98df25u;
    return hash ^ hash >> 32;
}

uint64_t known_hash(const Item *rest)
{
    return hash_of(rest->data, rest->size);
}

PyObject *known_find(const Known *known, const Item *rest, uint64_t hash)
{
    const Known *entry = &known[hash % KNOWN];
    if (entry->bytes == NULL || entry->hash != hash || (size_t)PyBytes_Size(entry->bytes) != rest->size ||
        memcmp(PyBytes_AsString(entry->bytes), rest->data, rest->size) != 0)
        return NULL;
    return entry->template;
}

void known_put(Known *known, uint64_t hash, PyObject *bytes, PyObject *template)
{
    Known *entry = &known[hash % KNOWN];
    PyObject *old_bytes = entry->bytes, *old_template = entry->template;
    entry->hash = hash;
    entry->bytes = Py_NewRef(bytes);
    entry->template = Py_NewRef(template);
    Py_XDECREF(old_bytes);
    Py_XDECREF(old_template);
}

void known_clear(Known *known)
{
    for (int i = 0; i < KNOWN; i++) {
        Py_CLEAR(known[i].bytes);
        Py_CLEAR(known[i].template);
    }
}

int revoked_refresh(Revoked *revoked)
{
    PyObject *seen = PyObject_GetAttr(revoked->object, name_seen);
    PyObject *ids = PyObject_GetAttr(revoked->object, name_ids);
    PyObject *each = ids == NULL ? NULL : PyObject_GetIter(ids), *id;
    int result = -1;
    if (seen == NULL || each == NULL)
        goto done;
    revoked->seen = PyLong_AsUnsignedLongLong(seen);
    revoked->count = 0;
    while ((id = PyIter_Next(each)) != NULL) {
        uint64_t value = PyLong_AsUnsignedLongLong(id);
        Py_DECREF(id);
        if (PyErr_Occurred() || revoked->count >= 64)
            break;
        revoked->ids[revoked->count++] = value;
    }
    result = PyErr_Occurred() ? -1 : 0;
done:
    Py_XDECREF(seen);
    Py_XDECREF(ids);
    Py_XDECREF(each);
    return result;
}

int revoked_follow(Revoked *revoked)
{
    PyObject *seen = PyObject_GetAttr(revoked->object, name_seen);
    if (seen == NULL)
        return -1;
    uint64_t count = PyLong_AsUnsignedLongLong(seen);
    Py_DECREF(seen);
    return count != revoked->seen ? revoked_refresh(revoked) : 0;
}

int is_revoked(Revoked *revoked, const uint8_t *word, uint32_t id)
{
    int asks = load_word(word) != revoked->seen;
    for (uint32_t i = 0; i < revoked->count; i++)
        asks |= revoked->ids[i] == id;
    if (!asks)
        return 0;
    PyObject *number = PyLong_FromUnsignedLong(id), *include = PyObject_GetAttr(revoked->object, name_include);
    PyObject *answer = number == NULL || include == NULL ? NULL : call1(include, number);
    Py_XDECREF(number);
    Py_XDECREF(include);
    if (answer == NULL)
        return -1;
    int result = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return result < 0 || revoked_refresh(revoked) < 0 ? -1 : result;
}

int done_with(PyObject *result)
{
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

int call_method(PyObject *object, PyObject *name, PyObject *argument)
{
    PyObject *method = PyObject_GetAttr(object, name);
    if (method == NULL)
        return -1;
    PyObject *result = argument == NULL ? PyObject_CallNoArgs(method) : call1(method, argument);
    Py_DECREF(method);
    return done_with(result);
}

int count_request(PyObject *worker, long long limit)
{
    PyObject *before = PyObject_GetAttr(worker, name_nr);
    if (before == NULL)
        return -1;
    long long nr = PyLong_AsLongLong(before);
    Py_DECREF(before);
    PyObject *after = nr == -1 && PyErr_Occurred() ? NULL : PyLong_FromLongLong(nr + 1);
    if (after == NULL)
        return -1;
    int result = PyObject_SetAttr(worker, name_nr, after);
    Py_DECREF(after);
    return result == 0 && nr + 1 >= limit ? call_method(worker, name_reached_limit, NULL) : result;
}

PyObject *left_of(PyObject *loads, PyObject *buffer, Py_ssize_t from)
{
    PyObject *all = call1(loads, buffer);
    PyObject *left = all == NULL ? NULL : PyList_GetSlice(all, from, PY_SSIZE_T_MAX);
    Py_XDECREF(all);
    return left;
}

int is_word(const Py_buffer *board, Py_ssize_t at)
{
    return (uintptr_t)board->buf % 8 == 0 && at >= 0 && at % 8 == 0 && at <= board->len - 8;
}
