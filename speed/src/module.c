/* The module indrik_speed. */

#include "common.h"
#include "version.h"

static int add(PyObject *module, const char *name, PyObject *value)
{
    int result = value == NULL ? -1 : PyModule_AddObjectRef(module, name, value);
    Py_XDECREF(value);
    return result;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "indrik_speed",
    .m_doc = "The hot parts of Indrik's workers, compiled.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_indrik_speed(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
#define MAKE_NAME(name)                                                                                              \
    if ((name_##name = PyUnicode_InternFromString(#name)) == NULL)                                                   \
        goto failed;
    NAMES(MAKE_NAME)
    if ((name_input = PyUnicode_InternFromString("wsgi.input")) == NULL ||
        (name_hints = PyUnicode_InternFromString("wsgi.early_hints")) == NULL)
        goto failed;
    PyObject *response = make_response_type();
    if (response == NULL || add(module, "Slot", make_slot_type()) < 0 || add(module, "Server", make_server_type()) < 0 ||
        add(module, "Conversation", make_conversation_type()) < 0 ||
        PyModule_AddStringConstant(module, "__version__", VERSION) < 0)
        goto failed;
    return module;
failed:
    Py_DECREF(module);
    return NULL;
}
