"""A package, for app specs with a dot."""
