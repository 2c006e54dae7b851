"""A participant in plain Python: grpcio and its reflection, none of Amends' code.

It keeps its rows in SQLite and does what any participant must: one database transaction per call, one row per award, locked
before it is read, so that a repeat, a late copy or a compensation that comes first can do no harm.

    pip install grpcio grpcio-tools grpcio-reflection
    python participant.py --port 7504 --database loyalty.db
"""

import argparse
import os
import sqlite3
import sys
from concurrent import futures

import grpc
from grpc_reflection.v1alpha import reflection

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
messages, services = grpc.protos_and_services("loyalty.proto")

SCHEMA = """
CREATE TABLE IF NOT EXISTS awards (
    order_id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    points   INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('awarded', 'revoked', 'refused'))
)
"""
BALANCE = "SELECT coalesce(sum(points), 0) FROM awards WHERE customer = ? AND state = 'awarded'"


class Loyalty(services.LoyaltyServicer):
    """Every call is one immediate database transaction."""

    def __init__(self, database):
        self.database = database
        with self.connect() as connection:
            connection.execute(SCHEMA)

    def connect(self):
        connection = sqlite3.connect(self.database, timeout=10, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def Award(self, request, context):
        if request.points <= 0:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "points must be positive")
        connection = self.connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT state FROM awards WHERE order_id = ?", (request.order_id,)).fetchone()
            if row is None:
                award = (request.order_id, request.customer, request.points, "awarded")
                connection.execute("INSERT INTO awards VALUES (?, ?, ?, ?)", award)
            balance = connection.execute(BALANCE, (request.customer,)).fetchone()[0]
            connection.execute("COMMIT")
        finally:
            connection.close()
        if row is not None and row[0] == "revoked":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this award was revoked before it came")
        return messages.AwardReply(balance=balance)

    def Revoke(self, request, context):
        connection = self.connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(
                "SELECT points, state FROM awards WHERE order_id = ?", (request.order_id,)
            ).fetchone()
            if row is None:
                # Revoked before it was awarded: leave a mark, so that the award is refused when it comes.
                connection.execute("INSERT INTO awards VALUES (?, '', 0, 'revoked')", (request.order_id,))
            else:
                connection.execute("UPDATE awards SET state = 'revoked' WHERE order_id = ?", (request.order_id,))
            connection.execute("COMMIT")
        finally:
            connection.close()
        return messages.RevokeReply(revoked=row[0] if row and row[1] == "awarded" else 0)

    def Balance(self, request, context):
        connection = self.connect()
        try:
            return messages.BalanceReply(balance=connection.execute(BALANCE, (request.customer,)).fetchone()[0])
        finally:
            connection.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, default=7504)
    arguments.add_argument("--database", default="loyalty.db")
    given = arguments.parse_args()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    services.add_LoyaltyServicer_to_server(Loyalty(given.database), server)
    # Reflection is all that Amends needs to know of this service.
    names = (messages.DESCRIPTOR.services_by_name["Loyalty"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    port = server.add_insecure_port(f"127.0.0.1:{given.port}")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
