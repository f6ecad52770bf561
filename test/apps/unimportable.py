"""Cannot be imported."""

raise RuntimeError("this module cannot be imported")
