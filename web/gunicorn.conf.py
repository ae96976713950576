"""Gunicorn's settings for the page: one process, whose threads mostly wait for TorchServe."""

worker_class = "gthread"
workers = 1
threads = 16
graceful_timeout = 40  # seconds for what is under way; no answer takes longer
keepalive = 15
limit_request_line = 2048
control_socket_disable = True
