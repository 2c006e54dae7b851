"""Loyalty points as steps of sagas: grpcio and its reflection, one SQLite database, none of Amends' code.

    pip install -r requirements.txt
    python participant/participant.py --port 7504 --database loyalty.db
"""

import argparse
import os
import signal
import sys
from concurrent import futures

import grpc
from grpc_reflection.v1alpha import reflection

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from barrier import Barrier, Rejected  # noqa: E402

messages, services = grpc.protos_and_services("loyalty.proto")

# Every change is a row of its own, so that anybody can check that nothing happened twice.
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, saga_id TEXT NOT NULL, order_id TEXT NOT NULL, customer TEXT NOT NULL, points INTEGER NOT NULL
) STRICT;
"""
BALANCE = "SELECT coalesce(sum(points), 0) FROM entries WHERE customer = ?"
ENTRY = "INSERT INTO entries (saga_id, order_id, customer, points) VALUES (?, ?, ?, ?)"


class Loyalty(services.LoyaltyServicer):
    """Award and Revoke are steps of sagas and go through the barrier; Balance is an ordinary method."""

    def __init__(self, barrier):
        self.barrier = barrier

    def Award(self, request, context):
        return self.barrier.handle(request, context, award, messages.AwardReply)

    def Revoke(self, request, context):
        return self.barrier.handle(request, context, revoke, messages.RevokeReply)

    def Balance(self, request, context):
        db = self.barrier.connect()
        try:
            return messages.BalanceReply(balance=db.execute(BALANCE, (request.customer,)).fetchone()[0])
        finally:
            db.close()


def award(db, call, request):
    if request.points <= 0:
        raise Rejected("POINTS_NOT_POSITIVE", f"{request.points} points can't be awarded; give 1 or more")
    db.execute(ENTRY, (call.saga_id, request.order_id, request.customer, request.points))
    return messages.AwardReply(balance=db.execute(BALANCE, (request.customer,)).fetchone()[0])


def revoke(db, call, request):
    # Runs only if this saga's award stands, and only once: the barrier sees to it.
    awarded = "SELECT customer, points FROM entries WHERE saga_id = ? AND order_id = ? AND points > 0"
    customer, points = db.execute(awarded, (call.saga_id, request.order_id)).fetchone()
    db.execute(ENTRY, (call.saga_id, request.order_id, customer, -points))
    return messages.RevokeReply(revoked=points)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, default=7504)
    arguments.add_argument("--database", default="loyalty.db")
    given = arguments.parse_args()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    barrier = Barrier(given.database, "loyalty.v1.Loyalty", SCHEMA)
    services.add_LoyaltyServicer_to_server(Loyalty(barrier), server)
    # Reflection is all that Amends needs to know of this service.
    names = (messages.DESCRIPTOR.services_by_name["Loyalty"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    port = server.add_insecure_port(f"127.0.0.1:{given.port}")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=2))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
