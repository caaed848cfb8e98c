# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the installed daemon as its unit would, with a service manager of a hundred lines in systemd's place.

usage: serve.py ROOT UNIT. It makes the unit's directories, drops to the unit's user, hands over a notify socket, waits
for READY=1 and for watchdog pings, applies a configuration through the control socket, fetches a page through the
daemon, and stops it by SIGTERM. Every wait ends: on what it waits for, on the daemon's exit, or on a deadline.
"""

import http.server
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

READY_SECONDS_MAX = 20
WATCHDOG_SECONDS = 4  # shorter than the unit's, so that pings are seen soon; the daemon must follow WATCHDOG_USEC
STOP_SECONDS_MAX = 20
BODY = b"hello from the origin"


def say(text):
    print(f"   package: {text}", flush=True)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


def identity(root, name):
    """uid, gid and the extra groups of the unit's user, from the files of the chroot"""
    users = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in (root / "etc/group").read_text().splitlines()}
    user = next(fields for fields in users if fields[0] == name)
    return int(user[2]), int(user[3]), [groups["weirgate-admin"]]


def make_directories(root, unit, uid, gid):
    """RuntimeDirectory= and its relatives, as systemd makes them before the start."""
    environment = {}
    for kind, base in (("Runtime", "run"), ("State", "var/lib"), ("Logs", "var/log")):
        name = re.search(rf"^{kind}Directory=(\S+)", unit, re.M).group(1)
        mode = re.search(rf"^{kind}DirectoryMode=(\d+)", unit, re.M).group(1)
        path = root / base / name
        path.mkdir(exist_ok=True)
        path.chmod(int(mode, 8))
        os.chown(path, uid, gid)
        environment[f"{kind.upper()}_DIRECTORY"] = f"/{base}/{name}"
    return environment


class Manager:
    """The daemon's process and what it tells its service manager."""

    def __init__(self, root, unit):
        self.root = root
        uid, gid, groups = identity(root, "weirgate")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        place = root / "run/notify.test"
        place.unlink(missing_ok=True)
        self.socket.bind(str(place))
        os.chown(place, uid, gid)
        environment = {
            "PATH": "/usr/sbin:/usr/bin", "NOTIFY_SOCKET": "/run/notify.test",
            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000), **make_directories(root, unit, uid, gid),
        }
        command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).replace("$WEIRGATE_OPTIONS", "").split()
        umask = int(re.search(r"^UMask=(\d+)", unit, re.M).group(1), 8)
        self.log = open(root.parent / "daemon.log", "w+")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, umask=umask,
            preexec_fn=lambda: (os.chroot(root), os.chdir("/"), os.setgroups(groups), os.setgid(gid), os.setuid(uid)))

    def wait_for(self, wanted, seconds):
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            self.socket.settimeout(0.2)
            try:
                if wanted in self.socket.recv(65536).decode().splitlines():
                    return
            except socket.timeout:
                if self.process.poll() is not None:
                    self.fail(f"the daemon ended with {self.process.returncode} before it said {wanted}")
        self.fail(f"the daemon did not say {wanted} within {seconds} s")

    def fail(self, why):
        self.log.flush()
        self.log.seek(0)
        self.process.kill()
        sys.exit(f"serve.py: {why}\n{self.log.read()[-3000:]}")

    def inside(self, *command):
        done = subprocess.run(["chroot", str(self.root), *command], capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, timeout=30)
        if done.returncode != 0:
            self.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.fail(f"still there {STOP_SECONDS_MAX} s after SIGTERM with nothing to drain")
        if code != 0:
            self.fail(f"exit {code} after SIGTERM")
        (self.root / "run/notify.test").unlink()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configuration(port, origin):
    return f"""[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"

[upstreams.origin]
endpoints = [{{ address = "127.0.0.1:{origin}" }}]

[routes.all]
match = {{ path = "/" }}
upstream = "origin"
"""


def fetch(manager, port):
    try:
        reply = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        if reply.read() != BODY:
            manager.fail("the page is not the origin's")
    except OSError as error:
        manager.fail(f"no page through the daemon: {error}")


def main():
    root, unit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    manager = Manager(root, unit)
    try:
        live(manager, origin.server_address[1])
    finally:
        manager.process.kill()
        origin.shutdown()


def live(manager, origin_port):
    manager.wait_for("READY=1", READY_SECONDS_MAX)
    say("READY=1 as its own user, headless")
    for _ in range(2):
        manager.wait_for("WATCHDOG=1", WATCHDOG_SECONDS)
    say("watchdog pings arrive in time")
    port = free_port()
    (manager.root / "tmp/weirgate.toml").write_text(configuration(port, origin_port))
    manager.inside("/usr/bin/weirgate", "apply", "/tmp/weirgate.toml")
    fetch(manager, port)
    say("a configuration applied through the control socket serves")
    manager.stop()
    say("SIGTERM ends it with exit 0")


if __name__ == "__main__":
    main()
