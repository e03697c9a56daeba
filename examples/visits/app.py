"""Writes visits down: for good in PostgreSQL, and counts them in Redis.

POST /visits   the body is the visitor's name; answers with what was stored
GET  /visits   how many were stored, and the last ten
GET  /ready    whether both servers answer
"""

import json
import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

log = logging.getLogger()


class Redis:
    """As much of its protocol as this takes: a command of one line, an answer of one line."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.answers = self.socket.makefile("rb")

    def ask(self, command):
        self.socket.sendall(f"{command}\r\n".encode())
        answer = self.answers.readline().decode()
        if not answer.startswith(("+", ":")) or not answer.endswith("\r\n"):
            raise ConnectionError(f"Redis answers {answer!r} to {command}")
        return answer[1:-2]

    def close(self):
        self.answers.close()
        self.socket.close()


class Stores(threading.local):
    """The connections of one thread: made when they are needed, and anew after they broke."""

    database = None
    redis = None

    def query(self, sql, *values):
        try:
            if self.database is None:
                self.database = psycopg2.connect("", connect_timeout=5)
                self.database.autocommit = True
            with self.database.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        except psycopg2.Error:
            if self.database is not None:
                self.database.close()
                self.database = None
            raise

    def ask_redis(self, command):
        try:
            if self.redis is None:
                self.redis = Redis(os.environ["REDIS_PORT"])
            return self.redis.ask(command)
        except OSError:
            if self.redis is not None:
                self.redis.close()
                self.redis = None
            raise


stores = Stores()


class Visits(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        if self.path != "/visits":
            return self.answer(404, {"error": "there is only /visits"})
        length = int(self.headers.get("Content-Length", 0))
        name = self.rfile.read(min(length, 1000)).decode(errors="replace").strip()
        if not name.isprintable() or not 0 < len(name) <= 100:
            return self.answer(400, {"error": "a name has 1 to 100 letters"})
        try:
            [(number,)] = stores.query("insert into visit (name) values (%s) returning id", name)
        except psycopg2.Error as error:
            # It may be stored all the same, where the answer alone was lost: so the visitor is
            # told that it failed, and it is not tried again here.
            log.error("failed: %s: %s", name, first_line(error))
            return self.answer(503, {"error": "the database does not answer"})
        log.info("visit %d: %s", number, name)
        self.answer(201, {"id": number, "name": name, "count": count()})

    def do_GET(self):
        try:
            if self.path == "/ready":
                stores.query("select 1")
                stores.ask_redis("PING")
                self.answer(200, {"ready": True})
            elif self.path == "/visits":
                [(stored,)] = stores.query("select count(*) from visit")
                last = stores.query("select id, name from visit order by id desc limit 10")
                rows = [{"id": number, "name": name} for number, name in last]
                self.answer(200, {"stored": stored, "last": rows})
            else:
                self.answer(404, {"error": "there are only /visits and /ready"})
        except (psycopg2.Error, OSError) as error:
            self.answer(503, {"error": first_line(error)})

    def answer(self, status, what):
        text = json.dumps(what).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """nginx knows who asked; here it is the visits that are told."""


def count():
    """The visits that Redis has seen. It only counts: no visit is refused for want of it."""
    try:
        return int(stores.ask_redis("INCR visits"))
    except OSError as error:
        log.error("not counted: %s", first_line(error))
        return None


def first_line(error):
    return str(error).partition("\n")[0]


class Server(ThreadingHTTPServer):
    """Serves with a few threads that stay, since each has a connection to the database."""

    request_queue_size = 128

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Visits)
        self.workers = ThreadPoolExecutor(8)

    def process_request(self, request, client_address):
        self.workers.submit(self.process_request_thread, request, client_address)

    def server_close(self):
        super().server_close()
        # What was accepted is served to its end.
        self.workers.shutdown(wait=True)


def main():
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    port = int(os.environ["APP_PORT"])
    with Server(port) as server:
        # `shutdown` waits for the loop that the handler of the signal has interrupted.
        stop = threading.Thread(target=server.shutdown)
        signal.signal(signal.SIGTERM, lambda *_: stop.start())
        log.info("%s on http://127.0.0.1:%d", os.environ["GREETING"], port)
        server.serve_forever(poll_interval=0.1)
    log.info("good night")


main()
