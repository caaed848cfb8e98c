# SPDX-License-Identifier: MIT OR Apache-2.0
"""Drives the bench: scenarios, interleaved rounds, medians, the table. Called by tests/bench/run, which builds first.

CPU per request is user + system time of the daemon's whole process tree over the requests the generator saw answered.
The daemon has one core for itself; the origin and the generator share the other, so neither is charged to it.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from neighbours import Daemon, ENDPOINTS, KEYS, Origin, UPSTREAMS, free_port, key, route_place

TARGETS = ["floor", "haproxy", "nginx", "weirgate"]
SCENARIOS = {
    "h1": "HTTP/1.1, 64 connections, 1 KiB",
    "tls": "HTTP/1.1 over TLS 1.3, 64 connections, 1 KiB",
    "h2": "HTTP/2 over TLS, 8 connections × 8 streams, 1 KiB",
    "https": "TLS 1.3 to the endpoint, 64 connections, 1 KiB",
    "h2c": "HTTP/2 to the endpoint, 64 connections, 1 KiB",
    "keyed": f"API key ({KEYS:,} consumers) + rate limit, 64 connections, 1 KiB",
    "logged": "access log as JSON to a file, 64 connections, 1 KiB (weirgate)",
    "body": "HTTP/1.1, 16 connections, 1 MiB",
    "idle": "memory per idle keep-alive connection",
    "routes": "100,000 routes against 10 (weirgate)",
    "paced": "latency added at a fixed rate",
    "tcp": "TCP, 4 streams of bytes, per MiB",
    "checks": f"{UPSTREAMS:,} upstreams × {ENDPOINTS} endpoints, each checked every 2 s (weirgate)",
    "udp": "UDP echo, 64 clients with one 64-byte datagram each under way",
}
GENERATOR_SECONDS_MAX = 120
ROUTES_SMALL = 10
ROUTES_ASKED = 1000  # different routes the generator asks for in turn
TCP_STREAMS = 4
CHECK_SECONDS = 10
UDP_CLIENTS = 64


class Bench:
    def __init__(self, options):
        self.options = options
        cores = sorted(os.sched_getaffinity(0))
        self.daemon_core, self.load_core = cores[0], cores[-1]
        self.work = tempfile.mkdtemp(prefix="weirgate-bench-")
        self.tool = os.path.abspath("target/bench/release/weirgate-bench")
        self.pki = pathlib.Path(self.work, "pki")
        self.started, self.errors, self.rows, self.notes, self.checked = [], [], [], [], []
        self.origins = {}
        self.make_certificate()
        self.origin_port = free_port()
        self.origin = subprocess.Popen(self.on_load_core([self.tool, "origin", f"127.0.0.1:{self.origin_port}"]),
                                       stdin=subprocess.PIPE)

    def origin_of(self, variant):
        """The port of the endpoint for a variant."""
        if variant not in ("https", "h2c"):
            return self.origin_port
        if variant not in self.origins:
            self.origins[variant] = Origin(variant, self)
        return self.origins[variant].port

    def make_certificate(self):
        self.pki.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        # It is its own authority and a server, and nobody takes an authority for a server.
                        "-addext", "basicConstraints=critical,CA:FALSE",
                        "-days", "2", "-subj", "/CN=bench.example.com", "-addext", "subjectAltName=DNS:bench.example.com",
                        "-keyout", f"{self.pki}/key.pem", "-out", f"{self.pki}/chain.pem"],
                       check=True, capture_output=True)
        both = (self.pki / "chain.pem").read_text() + (self.pki / "key.pem").read_text()
        (self.pki / "both.pem").write_text(both)

    def on_load_core(self, command):
        return ["taskset", "-c", str(self.load_core), *command]

    def close(self):
        for daemon in self.started:
            daemon.stop()
        for origin in self.origins.values():
            origin.stop()
        self.origin.stdin.close()
        self.origin.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def generate(self, command):
        done = subprocess.run(self.on_load_core(command), capture_output=True, text=True, timeout=GENERATOR_SECONDS_MAX)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    # ── generators: each returns the number of requests answered 200 ─────────────────────────────────────────────

    def wrk(self, url, seconds, connections=64, script=None):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", url]
        if script:
            command[1:1] = ["-s", script]
        text = self.generate(command)
        bad = re.search(r"(Socket errors: .*|Non-2xx or 3xx responses: \d+)", text)
        if bad:
            raise RuntimeError(f"wrk {url}: {bad.group(1)}")
        return int(re.search(r"(\d+) requests in", text).group(1))

    def h2load(self, url, seconds):
        text = self.generate(["h2load", "-t1", "-c8", "-m8", f"--duration={seconds}", "--warm-up-time=0", url])
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        succeeded, failed, errored, late = map(int, counts.groups())
        if failed or errored or late or not succeeded or "Application protocol: h2" not in text:
            raise RuntimeError(f"h2load {url}: {counts.group(0)}")
        return succeeded

    def script(self, name, requests):
        """A wrk script that sends the given (path, headers) in turn, rendered once."""
        path = pathlib.Path(self.work, f"{name}.lua")
        rows = []
        for place, headers in requests:
            fields = ",".join(f'["{field}"]="{value}"' for field, value in headers.items())
            rows.append(f'  rendered[#rendered+1] = wrk.format("GET", "{place}", {{{fields}}})\n')
        path.write_text("local rendered, n = {}, 0\nfunction init(args)\n" + "".join(rows) + "end\n"
                        "function request()\n  n = n % #rendered + 1\n  return rendered[n]\nend\n")
        return str(path)

    def load(self, scenario, daemon, seconds):
        plain, tls = f"http://127.0.0.1:{daemon.port}", f"https://127.0.0.1:{daemon.tls_port}"
        if scenario in ("h1", "https", "h2c", "logged"):
            return self.wrk(f"{plain}/1k", seconds)
        if scenario == "tls":
            return self.wrk(f"{tls}/1k", seconds)
        if scenario == "h2":
            return self.h2load(f"{tls}/1k", seconds)
        if scenario == "body":
            return self.wrk(f"{plain}/1m", seconds, connections=16)
        if scenario == "keyed":
            requests = [("/1k", {"X-Api-Key": key(n)}) for n in range(KEYS)]
            return self.wrk(f"{plain}/1k", seconds, script=self.script("keyed", requests))
        if scenario in ("tcp", "udp"):
            count = TCP_STREAMS if scenario == "tcp" else UDP_CLIENTS
            command = [self.tool, f"{scenario}-load", f"127.0.0.1:{daemon.port}", str(seconds), str(count)]
            return int(re.search(r"(\d+) done", self.generate(command)).group(1))
        count = int(daemon.variant.removeprefix("routes-"))
        places = [route_place(n * count // ROUTES_ASKED, count) for n in range(ROUTES_ASKED)]
        requests = [(path, {"Host": host}) for host, path in places]
        return self.wrk(f"{plain}/", seconds, script=self.script(daemon.variant, requests))

    # ── scenarios ────────────────────────────────────────────────────────────────────────────────────────────────

    def measure(self, scenario, daemon, seconds):
        """(CPU µs per request, requests per second, share of the core used)"""
        started, before = time.monotonic(), daemon.cpu_seconds()
        requests = self.load(scenario, daemon, seconds)
        cpu, wall = daemon.cpu_seconds() - before, time.monotonic() - started
        return cpu * 1e6 / requests, requests / wall, cpu / wall

    def interleave(self, scenario, daemons):
        """Medians per daemon over rounds in which every daemon has its turn, so that a noisy moment hits them all."""
        seen = {label: [] for label in daemons}
        for number in range(-1, self.options.rounds):
            order = list(daemons)[number % len(daemons):] + list(daemons)[:number % len(daemons)]
            for label in order:
                result = self.attempt(scenario, label, lambda: self.measure(
                    scenario, daemons[label], 1 if number < 0 else self.options.seconds))
                if number >= 0 and result:  # round -1 warms up
                    seen[label].append(result)
        return {label: tuple(map(statistics.median, zip(*runs))) for label, runs in seen.items() if runs}

    def attempt(self, scenario, label, work):
        try:
            return work()
        except (RuntimeError, OSError, subprocess.TimeoutExpired, AttributeError) as error:
            self.errors.append(f"{scenario}, {label}: {error}")
            print(f"  error: {self.errors[-1]}", flush=True)
            return None

    def throughput(self, scenario):
        # A forwarder of bytes has no TLS and no HTTP/2, and nginx speaks HTTP/2 to clients only.
        lacking = {"floor": ("tls", "h2", "https", "h2c"), "nginx": ("h2c",)}
        names = [n for n in self.options.only if scenario not in lacking.get(n, ())]
        variant = scenario if scenario in ("keyed", "https", "h2c") else "plain"
        daemons = {name: Daemon(name, variant, self) for name in names}
        for name, (cpu, rate, used) in self.interleave(scenario, daemons).items():
            self.add(scenario, name, cpu, "µs", f"{rate:,.0f} requests/s, {used:.0%} of the core")
        self.stop(daemons)

    def passing(self, scenario):
        """What passes unread: MiB of streams, or datagrams there and back."""
        names = [n for n in self.options.only if n not in {"tcp": ["nginx"], "udp": ["haproxy"]}[scenario]]
        unit = {"tcp": "MiB", "udp": "datagrams"}[scenario]
        peer = {"tcp": "tcp-sink", "udp": "udp-echo"}[scenario]
        port, http_port = free_port(), self.origin_port
        server = subprocess.Popen(self.on_load_core([self.tool, peer, f"127.0.0.1:{port}"]), stdin=subprocess.PIPE)
        self.origin_port = port
        try:
            daemons = {name: Daemon(name, scenario, self) for name in names if not (name, scenario) == ("floor", "udp")}
            for name, (cpu, rate, used) in self.interleave(scenario, daemons).items():
                self.add(scenario, name, cpu, "µs", f"{rate:,.0f} {unit}/s, {used:.0%} of the core")
            self.stop(daemons)
        finally:
            self.origin_port = http_port
            server.stdin.close()
            server.wait()

    def logged(self, scenario):
        if "weirgate" not in self.options.only:
            return
        variants = {"no log": "plain", "JSON log": "logged"}
        daemons = {label: Daemon("weirgate", variant, self) for label, variant in variants.items()}
        medians = self.interleave(scenario, daemons)
        for label, (cpu, rate, used) in medians.items():
            self.add(f"logged: {label}", "weirgate", cpu, "µs", f"{rate:,.0f} requests/s, {used:.0%} of the core")
        if len(medians) == 2:
            plain, logged = (cpu for cpu, _, _ in medians.values())
            self.notes.append(f"a JSON line for each request costs {logged / plain:.2f} of plain proxying")
        self.stop(daemons)

    def routes(self, scenario):
        if "weirgate" not in self.options.only:
            return
        daemons = {f"{n:,} routes": Daemon("weirgate", f"routes-{n}", self) for n in (ROUTES_SMALL, self.options.routes)}
        medians = self.interleave(scenario, daemons)
        for label, (cpu, rate, used) in medians.items():
            self.add(f"routes: {label}", "weirgate", cpu, "µs", f"{rate:,.0f} requests/s, {used:.0%} of the core")
        if len(medians) == 2:
            small, large = (cpu for cpu, _, _ in medians.values())
            self.notes.append(f"{self.options.routes:,} routes cost {large / small - 1:+.1%} over {ROUTES_SMALL}")
        self.stop(daemons)

    def idle(self, scenario):
        for name in self.options.only:
            runs = [self.attempt(scenario, name, lambda: self.idle_once(name)) for _ in range(min(3, self.options.rounds))]
            runs = [run for run in runs if run is not None]
            if runs:
                self.add(scenario, name, statistics.median(runs), "bytes", f"{self.options.idle:,} connections")

    def idle_once(self, name):
        daemon = Daemon(name, "plain", self)
        self.wrk(f"http://127.0.0.1:{daemon.port}/1k", 1)  # what the first requests allocate is not per connection
        before = daemon.rss_bytes()
        holder = subprocess.Popen(
            self.on_load_core([self.tool, "idle", f"127.0.0.1:{daemon.port}", "/1k", str(self.options.idle)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if not holder.stdout.readline().startswith("ready"):
                raise RuntimeError(holder.stderr.read().strip())
            return (daemon.rss_bytes() - before) / self.options.idle
        finally:
            holder.stdin.close()
            holder.wait()
            daemon.stop()

    def checks(self, scenario):
        """What ten thousand endpoints under check cost: the checker's thread, and the worker beside it."""
        if "weirgate" not in self.options.only:
            return
        self.checked = [free_port() for _ in range(ENDPOINTS)]
        origins = [subprocess.Popen(self.on_load_core([self.tool, "origin", f"127.0.0.1:{port}"]), stdin=subprocess.PIPE)
                   for port in self.checked]
        variants = {"no checks": "plain", "http": "checks-http", "tcp": "checks-tcp"}
        for label, variant in variants.items():
            result = self.attempt(scenario, label, lambda: self.checks_once(Daemon("weirgate", variant, self)))
            if result:
                share, control, rate, cpu = result
                self.add(f"checker thread, {label}", "weirgate", share * 100, "%",
                         f"of a core over {CHECK_SECONDS} s; the control threads {control:.1%}; {rate:,.0f} checks/s expected")
                self.add(f"worker CPU per request, {label}", "weirgate", cpu, "µs", "HTTP/1.1, 64 connections, 1 KiB")
        for origin in origins:
            origin.stdin.close()
            origin.wait()

    def checks_once(self, daemon):
        time.sleep(CHECK_SECONDS / 2)  # the first round, in which everybody turns healthy, is told of and kept
        before = daemon.cpu_by_thread()
        time.sleep(CHECK_SECONDS)
        after = daemon.cpu_by_thread()
        shares = {name: (spent - before.get(name, 0)) / CHECK_SECONDS for name, spent in after.items()}
        requests = self.wrk(f"http://127.0.0.1:{daemon.port}/1k", self.options.seconds)
        worker = daemon.cpu_by_thread()["worker-0"] - after["worker-0"]
        rate = 0 if daemon.variant == "plain" else UPSTREAMS * ENDPOINTS / 2
        daemon.stop()
        return shares["checker"], shares["control"], rate, worker * 1e6 / requests

    def paced(self, scenario):
        daemons = {name: Daemon(name, "plain", self) for name in self.options.only}
        seen = {name: [] for name in ["no proxy", *daemons]}
        for _ in range(self.options.rounds):
            for name, runs in seen.items():
                port = daemons[name].port if name in daemons else self.origin_port
                result = self.attempt(scenario, name, lambda: self.pace_once(port))
                runs += [result] if result else []
        medians = {name: tuple(map(statistics.median, zip(*runs))) for name, runs in seen.items() if runs}
        direct = medians.pop("no proxy", (0, 0))
        self.notes.append(f"added latency: {self.options.rate:,} requests/s over 32 connections, counted from when each was "
                          f"due; without a proxy p50 {direct[0]:,.0f} µs, p99 {direct[1]:,.0f} µs")
        for at, name in enumerate(("p50", "p99")):
            for daemon, values in medians.items():
                self.add(f"{name} added at {self.options.rate:,} requests/s", daemon, values[at] - direct[at], "µs",
                         f"added to {name}")
        self.stop(daemons)

    def pace_once(self, port):
        text = self.generate([self.tool, "pace", f"127.0.0.1:{port}", "/1k", str(self.options.rate),
                              str(self.options.seconds), "32"])
        return tuple(int(re.search(rf"{name} (\d+)", text).group(1)) for name in ("p50", "p99"))

    def stop(self, daemons):
        for daemon in daemons.values():
            daemon.stop()

    # ── report ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, scenario, name, value, unit, detail):
        self.rows.append((scenario, name, value, unit))
        print(f"  {name:9} {value:10,.1f} {unit}   {detail}", flush=True)

    def run(self):
        for scenario in self.options.scenarios:
            print(f"{scenario}: {SCENARIOS[scenario]}", flush=True)
            {"idle": self.idle, "logged": self.logged, "routes": self.routes, "paced": self.paced, "tcp": self.passing, "checks": self.checks,
             "udp": self.passing}.get(scenario, self.throughput)(scenario)

    def table(self):
        names = [n for n in TARGETS if n in self.options.only]
        lines = ["| scenario | " + " | ".join(names) + " | weirgate ÷ haproxy | weirgate ÷ floor |",
                 "|---|" + "---:|" * (len(names) + 2)]
        values = {(scenario, name): (value, unit) for scenario, name, value, unit in self.rows}
        for scenario in dict.fromkeys(row[0] for row in self.rows):
            here = {name: values[scenario, name] for name in names if (scenario, name) in values}
            cells = [f"{here[n][0]:,.1f} {here[n][1]}" if n in here else "–" for n in names]
            ratios = [self.ratio(here, "haproxy"), self.ratio(here, "floor")]
            title = SCENARIOS.get(scenario, scenario)
            lines.append(f"| {title} | " + " | ".join(cells + ratios) + " |")
        return "\n".join(lines + [""] + [f"- {note}" for note in self.notes + self.setting()]) + "\n"

    @staticmethod
    def ratio(here, other):
        if "weirgate" in here and other in here and here[other][0] > 0:
            return f"{here['weirgate'][0] / here[other][0]:.2f}"
        return "–"

    def setting(self):
        model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        return [f"medians of {self.options.rounds} interleaved rounds of {self.options.seconds} s; CPU is user + system time "
                f"of the daemon's processes per answered request",
                f"daemon on core {self.daemon_core}; origin and generator on core {self.load_core}; {os.uname().release}, "
                f"{model.group(1) if model else os.uname().machine}; {version(['haproxy', '-v'])}; {version(['nginx', '-v'])}",
                "HAProxy: nbthread 1, http-reuse always, forwardfor, no log; nginx: 1 worker, upstream keepalive, no access "
                "log, X-Forwarded-For (its connection table is allocated at start and so not in the idle figure)",
                f"load average {os.getloadavg()[0]:.2f} at the end on {os.cpu_count()} cores"]


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).split("\n")[0].split(" - ")[0]
    except OSError:
        return f"{command[0]} not installed"


def parse(argv):
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="CPU and memory of weirgate beside its neighbours")
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--only", default=",".join(TARGETS), help="daemons, by comma")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", 5)))
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("BENCH_SECONDS", 3)))
    parser.add_argument("--idle", type=int, default=5000, help="idle connections")
    parser.add_argument("--rate", type=int, default=2000, help="requests per second of the paced scenario")
    parser.add_argument("--routes", type=int, default=100_000, help="routes of the large table")
    parser.add_argument("--smoke", action="store_true", help="one short round: does everything run without an error?")
    options = parser.parse_args(argv)
    options.only = options.only.split(",")
    unknown = set(options.only) - set(TARGETS)
    if unknown:
        parser.error(f"no such daemon: {', '.join(sorted(unknown))} (there are {', '.join(TARGETS)})")
    if options.smoke:
        options.rounds, options.seconds, options.idle, options.routes = 1, 1, 500, 10_000
    options.scenarios = options.scenarios or list(SCENARIOS)
    return options


def main():
    options = parse(sys.argv[1:])
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"caution: load average {load:.2f}: others use the cores too; trust the ratios, not the numbers")
    bench = Bench(options)
    try:
        bench.run()
        table = bench.table()
    finally:
        bench.close()
    out = pathlib.Path("target/bench/table.md")
    out.write_text(table)
    print(f"\n{table}\nwritten to {out}")
    if bench.errors:
        sys.exit("bench: errors, the numbers above are not to be trusted:\n  " + "\n  ".join(bench.errors))


if __name__ == "__main__":
    main()
