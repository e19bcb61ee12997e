# SPDX-License-Identifier: Apache-2.0
"""Debian's nginx as a real counterpart: free ports, a folder of its own, stopped by pid.

    with Nginx(folder) as nginx:                    nginx.url("/small/7.bin"), nginx.url("/x", tls=True)

Small files stand below /small/, redirects below /moved/, and bursts of 429 and 503 come from limit_req and limit_conn.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from certificates import Authority


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for sock in held:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


CONFIGURATION = """
{user}daemon off;  worker_processes {workers};
pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
  log_format short '$connection $request_uri $status $server_protocol';
  access_log {access};
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  types {{ text/plain txt; application/octet-stream bin; }}
  default_type application/octet-stream;
  sendfile on; tcp_nodelay on; keepalive_requests {keepalive}; keepalive_timeout 65;
  gzip on; gzip_types text/plain; gzip_min_length 1;
  limit_req_zone $server_name zone=busy:1m rate=20r/s;
  limit_req_zone $server_name zone=slow:1m rate=20r/s;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    listen 127.0.0.1:{tls_port} ssl http2 backlog=1024;
    server_name main;
    ssl_certificate {folder}/ca/server.pem; ssl_certificate_key {folder}/ca/server.key;
    root {folder}/www;
    location /busy/ {{ limit_req zone=busy burst=2 nodelay; limit_req_status 503; alias {folder}/www/small/; }}
    location /slow/ {{ limit_req zone=slow burst=2 nodelay; limit_req_status 429; alias {folder}/www/small/; }}
    location /moved/ {{ rewrite ^/moved/(.*)$ /small/$1 redirect; }}
    location /for-good/ {{ rewrite ^/for-good/(.*)$ http://127.0.0.1:{other_port}/small/$1 permanent; }}
    location /upgrade/ {{ return 302 https://127.0.0.1:{tls_port}/small/$arg_n; }}
    location /downgrade/ {{ return 302 http://127.0.0.1:{port}/small/1.bin; }}
    location /gone/ {{ return 410; }}
  }}
  server {{
    listen 127.0.0.1:{other_port} backlog=1024;
    server_name other;
    keepalive_requests 10;
    root {folder}/www;
  }}
}}
"""


class Nginx:
    def __init__(self, folder, files=2000, size=1024, workers=1, keepalive=100000, log=True):
        self.folder = pathlib.Path(folder)
        self.size = size
        self.program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if self.program is None:
            raise RuntimeError("nginx is not installed: apt-get install nginx-light")
        self.port, self.tls_port, self.other_port = free_ports(3)
        (self.folder / "www/small").mkdir(parents=True)
        self.authority = Authority(self.folder / "ca")
        self.authority.leaf("server")
        for number in range(files):
            (self.folder / f"www/small/{number}.bin").write_bytes(self.content(number))
        (self.folder / "www/text.txt").write_bytes(b"the same line again and again\n" * 100)
        self.access = self.folder / "access.log"
        configuration = CONFIGURATION.format(
            user="user root; " if os.getuid() == 0 else "", folder=self.folder, port=self.port, tls_port=self.tls_port, other_port=self.other_port, workers=workers,
            keepalive=keepalive, access=f"{self.access} short" if log else "off")
        (self.folder / "nginx.conf").write_text(configuration)
        self.process = None

    def content(self, number):
        """Different for each file, so that no two can be mistaken for each other."""
        line = f"file {number} of the small ones\n".encode()
        return (line * (self.size // len(line) + 1))[:self.size]

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"nginx did not start: {self.process.stderr.read().decode()}") from None
                time.sleep(0.01)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)    # at once; its workers end with it
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def url(self, path, tls=False, other=False):
        if tls:
            return f"https://127.0.0.1:{self.tls_port}{path}"
        return f"http://127.0.0.1:{self.other_port if other else self.port}{path}"

    def log(self):
        """(connection, path, status, protocol) of every request so far."""
        if not self.access.exists():
            return []
        return [tuple(line.split(" ")) for line in self.access.read_text().splitlines()]

    def forget(self):
        os.truncate(self.access, 0)
