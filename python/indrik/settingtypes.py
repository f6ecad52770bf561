"""The settings and their types. Made from internal/settings by: go generate ./internal/settings"""

from __future__ import annotations

from typing import Any, Dict, Sequence, TypedDict, Union

HOOKS = frozenset(
    (
        "on_dirty_starting",
        "dirty_post_fork",
        "dirty_worker_init",
        "dirty_worker_exit",
        "on_starting",
        "on_reload",
        "when_ready",
        "pre_fork",
        "post_fork",
        "post_worker_init",
        "worker_int",
        "worker_abort",
        "pre_exec",
        "pre_request",
        "post_request",
        "child_exit",
        "worker_exit",
        "after_refork",
        "nworkers_changed",
        "on_exit",
        "ssl_context",
    )
)


class Settings(TypedDict, total=False):
    """What indrik.run() takes by keyword. docs/settings.md describes each."""

    config: str
    wsgi_app: str
    bind: Union[str, Sequence[str]]
    backlog: int
    workers: Union[int, str]
    scale_down_delay: float
    worker_class: str
    threads: int
    worker_connections: int
    max_requests: int
    max_requests_jitter: int
    timeout: int
    graceful_timeout: int
    drain_delay: int
    keepalive: int
    speed: str
    asgi_loop: str
    asgi_lifespan: str
    asgi_disconnect_grace_period: int
    asgi_send_after_disconnect: str
    asgi_extensions: Union[str, Sequence[str]]
    worker_affinity: str
    http_parser: str
    websocket_max_message_size: int
    websocket_ping_interval: int
    websocket_ping_timeout: int
    websocket_compression: bool
    websocket_drain_max: int
    websocket_drain_window: int
    queue_limit: int
    queue_timeout: int
    max_worker_memory: Union[int, str]
    max_worker_memory_hard: Union[int, str]
    worker_memory_measure: str
    max_worker_age: int
    max_worker_age_jitter: int
    max_memory_use: int
    max_memory_pressure: int
    recycle_budget: Union[int, str]
    canary: str
    quarantine: Union[str, Sequence[str]]
    quarantine_deaths: int
    quarantine_window: int
    quarantine_time: int
    refork_after: int
    warmup: Union[str, Sequence[str]]
    warmup_timeout: int
    selfcare_dry_run: Union[str, Sequence[str]]
    limit_request_line: int
    limit_request_fields: int
    limit_request_field_size: int
    limit_request_head: int
    limit_request_body: int
    limit_connections: int
    limit_memory: int
    limit_client_memory: int
    limit_client_connections: int
    limit_client_streams: int
    handshake_timeout: int
    header_timeout: int
    body_timeout: int
    body_min_rate: int
    write_timeout: int
    reload: bool
    reload_engine: str
    reload_extra_files: Union[str, Sequence[str]]
    spew: bool
    check_config: bool
    print_config: bool
    preload_app: bool
    sendfile: bool
    reuse_port: bool
    chdir: str
    daemon: bool
    raw_env: Union[str, Sequence[str]]
    pidfile: str
    worker_tmp_dir: str
    user: Union[int, str]
    group: Union[int, str]
    front_user: Union[int, str]
    front_group: Union[int, str]
    umask: int
    initgroups: bool
    worker_no_new_privs: bool
    tmp_upload_dir: str
    secure_scheme_headers: Dict[str, str]
    forwarded_allow_ips: Union[str, Sequence[str]]
    forwarded_for: str
    pythonpath: str
    paste: str
    raw_paste_global_conf: Union[str, Sequence[str]]
    proxy_protocol: Union[bool, str]
    proxy_allow_ips: Union[str, Sequence[str]]
    protocol: str
    uwsgi_allow_ips: Union[str, Sequence[str]]
    permit_obsolete_folding: bool
    strip_header_spaces: bool
    permit_unconventional_http_method: bool
    permit_unconventional_http_version: bool
    casefold_http_method: bool
    permit_missing_host: bool
    permit_non_ascii_target: bool
    forwarder_headers: Union[str, Sequence[str]]
    header_map: str
    server_header: str
    health_path: str
    request_id_header: str
    server_timing: bool
    root_path: str
    accesslog: str
    disable_redirect_access_to_syslog: bool
    access_log_format: str
    access_log_timeout: int
    log_format: str
    log_redact: Union[str, Sequence[str]]
    slow_request_log: float
    errorlog: str
    loglevel: str
    capture_output: bool
    logger_class: str
    logconfig: str
    logconfig_dict: Dict[str, Any]
    logconfig_json: str
    syslog_addr: str
    syslog: bool
    syslog_prefix: str
    syslog_facility: str
    enable_stdio_inheritance: bool
    statsd_host: str
    dogstatsd_tags: str
    statsd_prefix: str
    enable_backlog_metric: bool
    proc_name: str
    default_proc_name: str
    keyfile: str
    certfile: str
    ssl_version: Union[int, str]
    cert_reqs: int
    ca_certs: str
    suppress_ragged_eofs: bool
    do_handshake_on_connect: bool
    ciphers: str
    tls_min_version: str
    http_protocols: Union[str, Sequence[str]]
    http2_cleartext: str
    http2_max_concurrent_streams: int
    http2_initial_window_size: int
    http2_max_frame_size: int
    http2_max_header_list_size: int
    http2_idle_timeout: int
    control_socket: str
    control_socket_mode: int
    control_socket_disable: bool
    admin_bind: str
    admin_allow: Union[str, Sequence[str]]
    admin_hosts: Union[str, Sequence[str]]
    admin_token_file: str
    app_metrics: bool
    dirty_apps: Union[str, Sequence[str]]
    dirty_workers: int
    dirty_timeout: int
    dirty_threads: int
    dirty_graceful_timeout: int
    dirty_queue_limit: int
    pools: Dict[str, Any]
    stash_limit: int
