threads = 4

# The model is in two workers of its own. A call has ten seconds, and at most 100 of them wait.
pools = {"languages": {"app": "model:Languages", "workers": 2, "timeout": 10, "queue_limit": 100}}
