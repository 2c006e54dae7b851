"""Starts a saga and follows it to its end: grpcio and the coordinator's proto files, nothing else.

    python client.py award-points --id award-1 --input '{"order_id": "o-1", "customer": "ada", "points": 25}'

Exit code 0: completed; 1: compensated or force-stopped; 2: stuck, or still open when the time was over.
"""

import argparse
import json
import os
import sys
import time
import uuid

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
# At run time, for a start without a build step; `python -m grpc_tools.protoc` generates the same as files.
sys.path.insert(0, os.path.join(HERE, "..", "..", "proto", "proto"))
sagas, services = grpc.protos_and_services("amends/v1/sagas.proto")
saga_messages = grpc.protos("amends/v1/saga.proto")
payload = grpc.protos("amends/v1/payload.proto")

# The same request may be sent again: the answer was lost, or there was none.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)
STATUS, KIND = saga_messages.SagaStatus, saga_messages.HistoryKind


def repeatedly(call, end):
    """Calls until there is an answer or the time is over."""
    pause = 0.1
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in AGAIN or time.monotonic() + pause > end:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 5)


def start(stub, definition, saga_id, given, end):
    """The saga, durably accepted. The id, or the request id, makes every repeat find the same saga."""
    request = sagas.StartSagaRequest(
        saga_id=saga_id or "",
        request_id="" if saga_id else str(uuid.uuid4()),
        definition=definition,
        # JSON bytes, so that 64-bit integers stay exact.
        input=payload.Payload(encoding=payload.Payload.ENCODING_JSON, data=json.dumps(given).encode()),
    )
    return repeatedly(lambda: stub.Start(request, timeout=10), end)


def follow(stub, saga_id, end):
    """Yields (saga, what happened since) until it has ended or is stuck, over lost connections."""
    seen = 0

    def watch():
        nonlocal seen
        request = sagas.WatchSagaRequest(saga_id=saga_id, after_sequence=seen)
        for message in stub.Watch(request, timeout=max(end - time.monotonic(), 0.1)):
            seen = message.entries[-1].sequence if message.entries else seen
            yield message.saga, message.entries
            if message.saga.HasField("end_time") or message.saga.status == STATUS.SAGA_STATUS_STUCK:
                return

    pause = 0.1
    while True:
        try:
            yield from watch()
            return
        except grpc.RpcError as error:
            if error.code() not in AGAIN or time.monotonic() + pause > end:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 5)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("definition")
    arguments.add_argument("--id", help="your own id, such as an order number: the same id never starts twice")
    arguments.add_argument("--input", type=json.loads, default={})
    arguments.add_argument("--address", default=os.environ.get("AMENDS_ADDRESS", "127.0.0.1:7400"))
    arguments.add_argument("--wait", type=float, default=60, help="seconds")
    given = arguments.parse_args()

    end = time.monotonic() + given.wait
    address = given.address.removeprefix("http://")
    with grpc.insecure_channel(address, options=[("grpc.keepalive_time_ms", 20_000)]) as channel:
        stub = services.SagasStub(channel)
        saga = start(stub, given.definition, given.id, given.input, end)
        print(f"{saga.id}: accepted")
        try:
            for saga, entries in follow(stub, saga.id, end):
                for entry in entries:
                    show(saga, entry)
        except grpc.RpcError as error:
            if error.code() not in AGAIN:
                raise
            print(f"{saga.id}: the time is over; it runs on")
    report(saga)


def show(saga, entry):
    kind = KIND.Name(entry.kind).removeprefix("HISTORY_KIND_").lower().replace("_", " ")
    said = " ".join(part for part in (kind, entry.step, entry.code, entry.message) if part)
    print(f"{saga.id}: {said}")


def report(saga):
    status = STATUS.Name(saga.status).removeprefix("SAGA_STATUS_").lower().replace("_", "-")
    print(f"{saga.id}: {status}")
    for step in saga.steps:
        for operation in step.operations:
            if operation.HasField("output") and operation.operation == saga_messages.OPERATION_ACTION:
                print(f"  {step.name}: {operation.output.data.decode()}")
    if saga.HasField("decision"):
        print(f"  because of {saga.decision.step or 'a cancel'}: {saga.decision.code} {saga.decision.message}")
    for stuck in saga.stuck:
        print(f"  {saga_messages.StuckReason.Name(stuck.reason)} at {stuck.step}: {stuck.message}")
    ended = {STATUS.SAGA_STATUS_COMPLETED: 0, STATUS.SAGA_STATUS_COMPENSATED: 1, STATUS.SAGA_STATUS_FORCE_STOPPED: 1}
    sys.exit(ended.get(saga.status, 2))


if __name__ == "__main__":
    main()
