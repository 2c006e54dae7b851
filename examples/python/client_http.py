"""Starts a saga and follows it to its end over plain HTTP and JSON: nothing but Python's own library.

    python client_http.py award-points --id award-1 --input '{"order_id": "o-1", "customer": "ada", "points": 25}'

Exit code 0: completed; 1: compensated or force-stopped; 2: stuck, or still open when the time was over.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

# The same request may be sent again: there was no answer, or the coordinator says so.
AGAIN = (429, 503, 504)
ENDED = {"SAGA_STATUS_COMPLETED": 0, "SAGA_STATUS_COMPENSATED": 1, "SAGA_STATUS_FORCE_STOPPED": 1}


def ask(url, end, body=None):
    """The answer, over lost connections. Safe to repeat: a start carries its id, the rest only reads."""
    data = None if body is None else json.dumps(body).encode()
    pause = 0.1
    while True:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return json.load(answer)  # integers stay exact at any size
        except urllib.error.HTTPError as error:
            if error.code not in AGAIN or time.monotonic() + pause > end:
                raise SystemExit(f"{error.code}: {said(error)}") from None
            pause = max(pause, float(error.headers.get("Retry-After", 0)))
        except OSError as error:
            if time.monotonic() + pause > end:
                raise SystemExit(f"no answer from the coordinator: {error}") from None
        time.sleep(pause)
        pause = min(pause * 2, 5)


def said(error):
    text = error.read().decode(errors="replace")
    try:
        return json.loads(text)["message"]
    except (ValueError, KeyError):  # not a coordinator's: a proxy's, or another service's
        return text or error.reason


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("definition")
    arguments.add_argument("--id", help="your own id, such as an order number: the same id never starts twice")
    arguments.add_argument("--input", type=json.loads, default={})
    arguments.add_argument("--address", default=os.environ.get("AMENDS_HTTP", "http://127.0.0.1:7480"))
    arguments.add_argument("--wait", type=float, default=60, help="seconds")
    given = arguments.parse_args()

    end = time.monotonic() + given.wait
    named = {"sagaId": given.id} if given.id else {"requestId": str(uuid.uuid4())}
    saga = ask(f"{given.address}/v1/sagas", end, {**named, "definition": given.definition, "input": given.input})
    print(f"{saga['id']}: accepted")
    seen = 0
    while "endTime" not in saga and saga["status"] != "SAGA_STATUS_STUCK" and time.monotonic() < end:
        wait = max(min(30, end - time.monotonic()), 0.1)  # a long poll
        news = ask(f"{given.address}/v1/sagas/{saga['id']}:watch?afterSequence={seen}&wait={wait:.1f}s", end)
        saga = news["saga"]
        for entry in news.get("entries", []):
            seen = entry["sequence"]
            words = [entry["kind"].removeprefix("HISTORY_KIND_").lower(), *map(entry.get, ("step", "code", "message"))]
            print(f"{saga['id']}: {' '.join(filter(None, words))}")
    report(saga)
    sys.exit(ENDED.get(saga["status"], 2))


def report(saga):
    print(f"{saga['id']}: {saga['status'].removeprefix('SAGA_STATUS_').lower()}")
    for step in saga.get("steps", []):
        for operation in step["operations"]:
            if operation["operation"] == "OPERATION_ACTION" and "output" in operation:
                print(f"  {step['name']}: {json.dumps(operation['output'], separators=(',', ':'))}")
    if why := saga.get("decision"):
        print(f"  because of {why.get('step', 'a cancel')}: {why.get('code', '')} {why.get('message', '')}")
    for stuck in saga.get("stuck", []):
        print(f"  {stuck['reason']} at {stuck.get('step')}: {stuck.get('message')}")


if __name__ == "__main__":
    main()
