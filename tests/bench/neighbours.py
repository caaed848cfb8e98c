# SPDX-License-Identifier: MIT OR Apache-2.0
"""The daemons under test: how each is configured for a scenario, started on one core, watched and stopped.

Every neighbour gets a configuration its own manual would recommend for a busy edge: no request log, keep-alive on both
sides, upstream connections shared, one thread, the usual X-Forwarded-For. A daemon that is given less work than the
others makes the whole table worthless, so what differs is written beside it.
"""

import getpass
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KEYS = 1000  # consumers of the keyed scenario
UPSTREAMS = 1000  # of the checks scenario, each with the same endpoints
ENDPOINTS = 10
HOSTS_OF_LARGE_TABLE = 100  # hosts over which the routes scenario spreads its routes
NAME = "bench.example.com"  # what the certificate is for
START_SECONDS_MAX = 60  # 100,000 routes have to be read


def key(number):
    return f"bench-key-{number:06d}-0123456789abcdef0123456789abcdef"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def route_place(number, count):
    """Host and path of route `number`: few hosts with many paths, as a gateway in front of many services has."""
    host = number % min(HOSTS_OF_LARGE_TABLE, count)
    return f"h{host}.example.com", f"/service-{number}/items"


def haproxy_config(b, variant):
    if variant == "tcp":
        return f"""global
    nbthread 1
    maxconn 1000
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen in
    bind 127.0.0.1:{b.port}
    server origin 127.0.0.1:{b.origin}
"""
    # http-reuse always: the default (safe) opens an upstream connection per client connection's first request, and the
    # idle scenario would then count those too.
    checks = ""
    speaks = {"https": f"ssl verify required ca-file {b.pki}/chain.pem sni str({NAME})", "h2c": "proto h2"}.get(variant, "")
    if variant == "keyed":
        (b.dir / "keys.map").write_text("".join(f"{key(n)} consumer-{n}\n" for n in range(KEYS)))
        checks = f"""
    http-request set-var(txn.consumer) req.hdr(x-api-key),map_str({b.dir}/keys.map)
    http-request deny deny_status 401 unless {{ var(txn.consumer) -m found }}
    http-request del-header x-api-key
    stick-table type string len 64 size 100k expire 10s store http_req_rate(1s)
    http-request track-sc0 var(txn.consumer)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000 }}"""
    return f"""global
    nbthread 1
    maxconn 8000
defaults
    mode http
    option forwardfor
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    http-reuse always
frontend in
    bind 127.0.0.1:{b.port}
    bind 127.0.0.1:{b.tls_port} ssl crt {b.pki}/both.pem alpn h2,http/1.1{checks}
    default_backend origin
backend origin
    server origin 127.0.0.1:{b.origin} {speaks}
"""


def nginx_config(b, variant):
    if variant == "udp":
        # A module of its own in Debian (libnginx-mod-stream); BENCH_NGINX_MODULES names another directory.
        modules = pathlib.Path(os.environ.get("BENCH_NGINX_MODULES", "/usr/lib/nginx/modules"))
        module = next(modules.glob("ngx_stream_module.so"), None)
        load = f"load_module {module};" if module else ""
        return f"""{load}
worker_processes 1;
user {getpass.getuser()};
daemon off;
pid {b.dir}/nginx.pid;
error_log {b.dir}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
stream {{
  access_log off;
  server {{ listen 127.0.0.1:{b.port} udp; proxy_pass 127.0.0.1:{b.origin}; proxy_timeout 60s; }}
}}
"""
    key_map, limit, scheme = "", "", "http"
    if variant == "https":
        scheme = "https"
        limit = f"""
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {b.pki}/chain.pem;
      proxy_ssl_name {NAME};
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.3;"""
    if variant == "keyed":
        rows = "".join(f"    {key(n)} consumer-{n};\n" for n in range(KEYS))
        key_map = f"""
  map_hash_bucket_size 128;
  map_hash_max_size 4096;
  map $http_x_api_key $consumer {{
    default "";
{rows}  }}
  limit_req_zone $consumer zone=perconsumer:10m rate=1000000r/s;
  limit_req_status 429;"""
        limit = """
      if ($consumer = "") { return 401; }
      limit_req zone=perconsumer burst=1000000 nodelay;
      proxy_set_header X-Api-Key "";"""
    return f"""worker_processes 1;
user {getpass.getuser()};
daemon off;
pid {b.dir}/nginx.pid;
error_log {b.dir}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {b.dir}/body; proxy_temp_path {b.dir}/proxy; fastcgi_temp_path {b.dir}/fastcgi;
  uwsgi_temp_path {b.dir}/uwsgi; scgi_temp_path {b.dir}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;{key_map}
  upstream origin {{ server 127.0.0.1:{b.origin}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{b.port};
    listen 127.0.0.1:{b.tls_port} ssl http2;
    ssl_certificate {b.pki}/chain.pem;
    ssl_certificate_key {b.pki}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{{limit}
      proxy_pass {scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffer_size 16k;
      proxy_buffers 16 16k;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
"""


def origin_config(b, speaks):
    """An endpoint that speaks TLS or HTTP/2: nginx, with 1 KiB from memory."""
    listen = {"https": "ssl", "h2c": "http2"}[speaks]
    return f"""worker_processes 1;
user {getpass.getuser()};
daemon off;
pid {b.dir}/nginx.pid;
error_log {b.dir}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {b.dir}/body; proxy_temp_path {b.dir}/proxy; fastcgi_temp_path {b.dir}/fastcgi;
  uwsgi_temp_path {b.dir}/uwsgi; scgi_temp_path {b.dir}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  server {{
    listen 127.0.0.1:{b.port} {listen};
    ssl_certificate {b.pki}/chain.pem;
    ssl_certificate_key {b.pki}/key.pem;
    ssl_protocols TLSv1.3;
    location / {{ return 200 "{'x' * 1024}"; }}
  }}
}}
"""


def weirgate_config(b, variant):
    if variant in ("tcp", "udp"):
        return f"""[listeners.in]
address  = "127.0.0.1:{b.port}"
protocol = "{variant}"
upstream = "origin"
timeouts = {{ session = "60s" }}

[upstreams.origin]
endpoints = [{{ address = "127.0.0.1:{b.origin}" }}]
"""
    secure = f'protocol = "https"\ntls = {{ ca = "{b.pki}/chain.pem", server_name = "{NAME}" }}\n'
    speaks = {"https": secure, "h2c": 'protocol = "h2c"\n'}.get(variant, "")
    listeners = f"""[listeners.web]
address  = "127.0.0.1:{b.port}"
protocol = "http"

[listeners.web-tls]
address      = "127.0.0.1:{b.tls_port}"
protocol     = "https"
certificates = ["site"]

[certificates.site]
chain = "{b.pki}/chain.pem"
key   = "{b.pki}/key.pem"

[upstreams.origin]
endpoints = [{{ address = "127.0.0.1:{b.origin}" }}]
{speaks}
"""
    if variant.startswith("checks-"):
        check = {"http": 'http = { path = "/1k" }', "tcp": "tcp = true"}[variant.removeprefix("checks-")]
        endpoints = ", ".join(f'{{ address = "127.0.0.1:{port}" }}' for port in b.checked)
        listeners += "".join(f"""[upstreams.u{n}]
endpoints = [{endpoints}]
health = {{ {check}, interval = "2s" }}

""" for n in range(UPSTREAMS))
    if variant == "logged":
        listeners += f'[logs.access]\nto = {{ file = {{ path = "{b.dir}/access.log" }} }}\n\n'
    if variant == "keyed":
        consumers = "".join(f'[consumers.c{n}]\napi_keys = [{{ secret = "{key(n)}" }}]\n' for n in range(KEYS))
        return f"""{listeners}[policies.key]
api_key = {{ header = "X-Api-Key" }}

[policies.limit]
rate_limit = {{ per = "consumer", rate = "1000000/s", burst = 1000000 }}

[routes.all]
match    = {{ path = "/" }}
upstream = "origin"
policies = ["key", "limit"]

{consumers}"""
    if variant.startswith("routes-"):
        count = int(variant.removeprefix("routes-"))
        rows = []
        for n in range(count):
            host, path = route_place(n, count)
            rows.append(f'[routes.r{n}]\nmatch = {{ hosts = ["{host}"], path = "{path}" }}\nupstream = "origin"\n')
        return listeners + "".join(rows)
    return f'{listeners}[routes.all]\nmatch = {{ path = "/" }}\nupstream = "origin"\n'


class Origin:
    """An endpoint that speaks TLS or HTTP/2, on the core of the generator."""

    def __init__(self, speaks, bench):
        self.dir = pathlib.Path(bench.work, f"origin-{speaks}")
        self.dir.mkdir()
        self.port, self.pki = free_port(), bench.pki
        (self.dir / "nginx.conf").write_text(origin_config(self, speaks))
        command = ["nginx", "-p", str(self.dir), "-c", f"{self.dir}/nginx.conf"]
        self.process = subprocess.Popen(bench.on_load_core(command), stdin=subprocess.DEVNULL)
        give_up = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < give_up:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"bench: the {speaks} endpoint does not listen")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Daemon:
    """One daemon under test: its files, its ports, its process tree."""

    def __init__(self, name, variant, bench):
        self.name, self.variant = name, variant
        self.pki, self.origin, self.checked = bench.pki, bench.origin_of(variant), bench.checked
        self.dir = pathlib.Path(bench.work, f"{name}-{variant}-{time.monotonic_ns()}")
        self.dir.mkdir()
        self.port, self.tls_port = free_port(), free_port()
        log = open(self.dir / "log", "w")
        command = ["taskset", "-c", str(bench.daemon_core), *self.command(bench.tool)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        bench.started.append(self)
        self.wait_until_it_serves()

    def command(self, tool):
        if self.name == "floor":
            return [tool, "floor", f"127.0.0.1:{self.port}", f"127.0.0.1:{self.origin}"]
        if self.name == "haproxy":
            (self.dir / "haproxy.cfg").write_text(haproxy_config(self, self.variant))
            return ["haproxy", "-db", "-f", f"{self.dir}/haproxy.cfg"]
        if self.name == "nginx":
            (self.dir / "nginx.conf").write_text(nginx_config(self, self.variant))
            return ["nginx", "-p", str(self.dir), "-c", f"{self.dir}/nginx.conf"]
        (self.dir / "weirgate.toml").write_text(weirgate_config(self, self.variant))
        return [os.environ["BENCH_WEIRGATE"], "run", "--state", f"{self.dir}/state", "--socket", f"{self.dir}/sock",
                "--apply", f"{self.dir}/weirgate.toml", "--workers", "1"]

    def passes(self):
        """Whether a byte, or a datagram, comes back."""
        kind = socket.SOCK_DGRAM if self.variant == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(0.5)
            s.connect(("127.0.0.1", self.port))
            s.send(b"?")
            return len(s.recv(1)) == 1

    def wait_until_it_serves(self):
        headers = {"X-Api-Key": key(0)}
        path = "/1k"
        if self.variant.startswith("routes-"):
            headers["Host"], path = route_place(0, int(self.variant.removeprefix("routes-")))
        give_up = time.monotonic() + START_SECONDS_MAX
        last = ""
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                if self.variant in ("tcp", "udp"):
                    if self.passes():
                        return
                    continue
                request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
                if urllib.request.urlopen(request, timeout=2).status == 200:
                    return
            except (OSError, urllib.error.URLError) as error:
                last = str(error)
            time.sleep(0.05)
        raise SystemExit(f"bench: {self.name} ({self.variant}) does not serve: {last}\n"
                         f"{(self.dir / 'log').read_text()[-2000:]}")

    def pids(self):
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(child) for child in task.read_text().split()]
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            # The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the whole line.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def cpu_by_thread(self):
        """CPU seconds by name of thread, of the daemon's own process."""
        seen = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            seen[name] = seen.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
        return seen

    def rss_bytes(self):
        return sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids()) * PAGE

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            # HAProxy waits for its connections on SIGUSR1 and nginx on SIGQUIT; SIGTERM ends both at once.
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
