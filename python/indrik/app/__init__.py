"""What a program in Python that starts the server derives its application from."""
