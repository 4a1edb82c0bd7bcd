"""The real programs on services of their own, for scripts that measure them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

SECRET_KEY = "U/KvUbDXVpjoT6g5728we4VJMhEYnJIbiqEgxkwZuB4="  # of databases that live as long as the run


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Installation:
    """The real programs, as an administrator would start them."""

    def __init__(self, folder):
        self.folder = folder
        self.server = os.environ["SOMO_TEST_DATABASE_URL"]
        self.database = self.server.rsplit("/", 1)[0] + "/load"
        self.sql("create database load", self.server)
        self.graph, self.api = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.running = []

    def sql(self, statement, database=None):
        asked = [os.environ["psql"], "-XAt", "-F", "|", database or self.database, "-c", statement]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    def environment(self):
        return {
            "SOMO_DATABASE_URL": self.database,
            "SOMO_REDIS_URL": os.environ["SOMO_TEST_REDIS_URL"],
            "SOMO_SECRET_KEY": SECRET_KEY,
            "SOMO_DATA_DIR": os.path.join(self.folder, "data"),
            "SOMO_BIND": self.api,
            "SOMO_WHATSAPP_GRAPH_URL": f"http://{self.graph}",
            "SOMO_LOG": "warn",
        }

    def run(self, *arguments):
        done = subprocess.run([os.environ["somo"], *arguments], check=True, env=self.environment(), cwd=self.folder, capture_output=True, text=True)
        return done.stdout.strip()

    def first_token(self):
        """That of the admin of a company that is made for it."""
        self.run("migrate", "up")
        self.run("user", "create", "--email", "ana@example.com", "--password", "correct horse", "--tenant", "Loja", "--role", "admin")
        return self.run("token", "create", "--email", "ana@example.com")

    def start(self, *arguments):
        process = subprocess.Popen([os.environ["somo"], *arguments], env=self.environment(), cwd=self.folder)
        self.running.append(process)
        return process

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()


def waited(port):
    host, port = port.split(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port))).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nobody listens at {host}:{port}")


class Client:
    def __init__(self, address, token):
        self.address, self.token = address, token

    def ask(self, method, path, body=None, kind="application/json"):
        data = json.dumps(body).encode() if kind == "application/json" and body is not None else body
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            sys.exit(f"{path}: {error.code}: {error.read().decode()}")

    def upload(self, path, name, content):
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self.ask("POST", path, body, f"multipart/form-data; boundary={boundary}")
