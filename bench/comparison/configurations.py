"""Equal configurations for the three proxies and the origin's. Gatehouse and nginx read the same text but for the first
lines; HAProxy's says the same in its own words: one worker or event thread, keep-alive to both sides without end, bodies
streamed, no log unless the scenario has one."""

from pathlib import Path

from scenarios import HOST, Scenario

SIZES = {"10k": 10 << 10, "100k": 100 << 10, "10m": 10 << 20}
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
RULES = Path(__file__).resolve().parents[2] / "rules" / "gatehouse-crs.conf"
FOREVER = 1_000_000_000


def _send_buffer(scenario: Scenario) -> str:
    """For a crowd a small one: on loopback each answer that nobody reads would else fill a megabyte of the kernel's memory, of which
    all connections of the machine may have only so much."""
    return " sndbuf=32k" if scenario.kind == "crowd" else ""


def origin(folder: Path, port: int, scenario: Scenario) -> str:
    """nginx: a short text anywhere, files of known sizes at /10k, /100k and /10m, and /post, which answers when it has read
    the whole body: `return` alone answers at once, and what happens to the rest of the body is another subject."""
    return f"""daemon off; master_process off; pid {folder}/origin.pid; error_log {folder}/origin.err;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests {FOREVER}; keepalive_timeout 1h; default_type text/plain; client_max_body_size 0;
  client_body_temp_path {folder}/origin_body; proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2;
  uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4; sendfile on; tcp_nopush on;
  upstream itself {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests {FOREVER}; keepalive_timeout 1h; }}
  open_file_cache max=100; open_file_cache_valid 1h;
  server {{
    listen 127.0.0.1:{port} backlog=4096{_send_buffer(scenario)};
    location = /origin_status {{ stub_status; }}
    location / {{ return 200 "Hello, this is the bench's origin\\n"; }}
    location = /html {{ default_type "text/html; charset=utf-8"; alias {folder}/files/html; }}
    location = /dribble {{ alias {folder}/files/10k; limit_rate 1; }}
    location = /post {{
      client_body_buffer_size 11m; proxy_pass http://itself/; proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_http_version 1.1; proxy_set_header Connection "";
    }}
{"".join(f"    location = /{name} {{ root {folder}/files; }}{chr(10)}" for name in SIZES)}  }}
}}
"""


def _locations(scenario: Scenario) -> str:
    if not scenario.routes:
        return "    location / { proxy_pass http://origin; }\n"
    return "".join(f"    location /r{i:05}/ {{ proxy_pass http://origin; }}\n" for i in range(scenario.routes))


def nginx_language(scenario: Scenario, name: str, folder: Path, port: int, origin_port: int, supervised: bool) -> str:
    """For Gatehouse and nginx. `supervised` false: one process, as instruction counting needs it."""
    first, temporary = "", ""
    if name == "nginx":
        first = f"load_module {NGINX_MODULE};\n" if scenario.waf else ""
        temporary = "".join(f"  {kind}_temp_path {folder}/{name}_{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    tls = (f"    ssl_certificate {folder}/{scenario.tls}.crt; ssl_certificate_key {folder}/{scenario.tls}.key;\n"
           "    ssl_protocols TLSv1.3;\n") if scenario.tls else ""
    waf = (f"  modsecurity on; modsecurity_rules_file {RULES};\n"
           f"  modsecurity_rules 'SecAuditLog {folder}/{name}_audit.log';\n") if scenario.waf else ""
    log = f"access_log {folder}/{name}_access.log combined" if scenario.access_log else "access_log off"
    connections = {"idle": 12000, "crowd": 18000}.get(scenario.kind, 8192)
    return f"""{first}daemon off; master_process {"on" if supervised else "off"}; worker_processes 1;
pid {folder}/{name}.pid; error_log {folder}/{name}.err error;
events {{ worker_connections {connections}; }}
http {{
  {log};
  keepalive_requests {FOREVER}; keepalive_timeout 1h; client_max_body_size 0;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_request_buffering off; proxy_max_temp_file_size 0;
{temporary}{waf}  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive 128; keepalive_requests {FOREVER}; keepalive_timeout 1h;
  }}
  server {{
    listen 127.0.0.1:{port}{" ssl" if scenario.tls else ""} backlog=4096{_send_buffer(scenario)};
    server_name {HOST};
{tls}{_locations(scenario)}  }}
}}
"""


def haproxy(scenario: Scenario, folder: Path, port: int, origin_port: int) -> str:
    tls = f" ssl crt {folder}/{scenario.tls}.pem ssl-min-ver TLSv1.3 alpn http/1.1" if scenario.tls else ""
    backend = "default_backend origin"
    if scenario.routes:
        (folder / "routes.map").write_text("".join(f"/r{i:05}/ origin\n" for i in range(scenario.routes)))
        backend = f"use_backend %[path,map_beg({folder}/routes.map)]"
    log = "  log stdout format raw local0\n  option httplog\n" if scenario.access_log else ""
    return f"""global
  nbthread 1
  maxconn {9900 if scenario.kind == 'idle' else 8192}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend bench
  bind 127.0.0.1:{port} backlog 4096{tls}
{log}  {backend}
backend origin
  server one 127.0.0.1:{origin_port}
"""
