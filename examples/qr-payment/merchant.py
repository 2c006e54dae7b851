"""A merchant's server: is told by webhook that an order is paid. Python's standard library only.

It checks the signature as Standard Webhooks say (https://www.standardwebhooks.com), takes each message once however often it comes
(its `webhook-id` is the same on every attempt), and can fail on purpose. Invariant: an order is answered for only after it is
written to the file.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Older (or newer) messages may be somebody's copy of an earlier one.
TOLERANCE_SECONDS = 300
BODY_LENGTH_MAX = 64 * 1024


class Orders:
    """The paid orders, one JSON object a line."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.seen = set()
        if os.path.exists(path):
            with open(path, encoding="utf-8") as lines:
                self.seen = {json.loads(line)["webhook_id"] for line in lines}

    def paid(self, webhook_id, order):
        with self.lock:
            if webhook_id in self.seen:
                return
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"webhook_id": webhook_id, **order}) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.seen.add(webhook_id)


def is_signed(secret, headers, body, now):
    """Whether one of the signatures is ours, of this very message, and recent."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    ours = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    given = [word.removeprefix("v1,") for word in headers.get("webhook-signature", "").split() if word.startswith("v1,")]
    return any(hmac.compare_digest(ours, signature) for signature in given)


class Merchant(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > BODY_LENGTH_MAX:
            self.close_connection = True
            return self.answer(413, {"error": "too long"})
        body = self.rfile.read(length)
        path = re.fullmatch(r"/orders/([A-Za-z0-9._-]+)/paid", self.path)
        if path is None:
            return self.answer(404, {"error": "no such page"})
        if not is_signed(self.server.secret, self.headers, body, time.time()):
            return self.answer(401, {"error": "the signature is missing, wrong or too old"})
        if self.server.fails_now():
            return self.answer(503, {"error": "closed for a moment"})
        order = json.loads(body)
        if order.get("order_id") != path.group(1):
            return self.answer(422, {"error": "the body is about another order"})
        self.server.orders.paid(self.headers["webhook-id"], order)
        self.answer(200, {"order_id": order["order_id"], "thanks": True})

    def answer(self, status, reply):
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, secret, orders, fail_first):
        super().__init__(("127.0.0.1", port), Merchant)
        self.secret, self.orders, self.failures_left = secret, orders, fail_first
        self.lock = threading.Lock()

    def fails_now(self):
        with self.lock:
            self.failures_left -= 1
            return self.failures_left >= 0


def main():
    flags = argparse.ArgumentParser(description="A merchant's server that is told by webhook that an order is paid.")
    flags.add_argument("--port", type=int, default=7604)
    flags.add_argument("--secret-file", required=True, help="holds whsec_… as the participant was registered with")
    flags.add_argument("--orders", default="orders.jsonl", help="where paid orders are written to")
    flags.add_argument("--fail-first", type=int, default=0, help="answer so many calls with 503 first")
    given = flags.parse_args()
    with open(given.secret_file, encoding="ascii") as file:
        secret = base64.b64decode(file.read().strip().removeprefix("whsec_"), validate=True)
    server = Server(given.port, secret, Orders(given.orders), given.fail_first)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
