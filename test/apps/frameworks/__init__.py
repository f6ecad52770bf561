"""Apps of frameworks that do what people do with them; see frameworks_test.go.

All of them answer alike:

    /hash     POST a file as the form field `file`: its length and SHA-256
    /stream   a response in two parts, between which the gate `stream` is
    /visits   how many times this session has asked
    /error    an exception
"""
