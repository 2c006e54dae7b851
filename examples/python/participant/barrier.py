"""The barrier in plain Python: what makes a service a good participant, in one SQLite database with the service's own tables.

One row per step, locked (BEGIN IMMEDIATE) before it is read and committed together with the business change, orders that step's
action, confirm and compensate. The tables and the rules are the published ones of participants/BARRIER.md; test_barrier.py holds
this file to participants/barrier-table.jsonl. Copy it: it needs nothing but grpcio and grpcio-status.
"""

import hashlib
import logging
import sqlite3
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

SCHEMA = """
CREATE TABLE IF NOT EXISTS amends_barrier (
    namespace TEXT NOT NULL, saga_id TEXT NOT NULL, step TEXT NOT NULL, element TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('sealed', 'refused', 'pending', 'succeeded')),
    action_digest BLOB, action_reply BLOB, refusal_reason TEXT, refusal_message TEXT,
    ending TEXT CHECK (ending IN ('confirming', 'confirmed', 'compensating', 'compensated')),
    ending_digest BLOB, ending_reply BLOB,
    PRIMARY KEY (namespace, saga_id, step, element)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amends_saga (
    namespace TEXT NOT NULL, saga_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,  -- unsigned, stored as its two's complement
    first_seen INTEGER NOT NULL DEFAULT (unixepoch()),
    store TEXT, begun INTEGER,  -- which coordinator's, and when it began in unix ms; NULL: never swept
    PRIMARY KEY (namespace, saga_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amends_floor (store TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS amends_saga_by_age ON amends_saga (store, begun);
"""
COLUMNS = ("status", "action_digest", "action_reply", "refusal_reason", "refusal_message",
           "ending", "ending_digest", "ending_reply")  # fmt: skip
KEY = "namespace = ? AND saga_id = ? AND step = ? AND element = ?"
# Sagas that began before the floor are over and forgotten at their coordinator: their rows may go.
RAISE_FLOOR = """INSERT INTO amends_floor (store, floor) VALUES (?1, ?2)
    ON CONFLICT (store) DO UPDATE SET floor = excluded.floor WHERE amends_floor.floor < excluded.floor"""
DELETE_STEPS = """DELETE FROM amends_barrier WHERE (namespace, saga_id) IN
    (SELECT namespace, saga_id FROM amends_saga WHERE store = ?1 AND begun < ?2 ORDER BY begun, namespace, saga_id LIMIT ?3)"""
DELETE_SAGAS = """DELETE FROM amends_saga WHERE store = ?1 AND begun < ?2 AND NOT EXISTS
    (SELECT 1 FROM amends_barrier b WHERE b.namespace = amends_saga.namespace AND b.saga_id = amends_saga.saga_id)"""
SWEEP_AT_ONCE, SWEEP_EVERY_MS = 200, 60_000
EMPTY = {column: None for column in COLUMNS}
PENDING = object()  # "accepted; the effect comes later"; a handler may return it
RUN, SEAL = object(), object()  # decisions: run the handler; leave a tombstone
# How far confirm and compensate have come, by operation.
BEGUN = {"confirm": "confirming", "compensate": "compensating"}
DONE = {"confirm": "confirmed", "compensate": "compensated"}


class Rejected(Exception):
    """Raise it in a handler to say no: nothing happened. For an action it is final. `reason` is a constant for programs."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason, self.message = reason, message


class Barred(Exception):
    """The barrier doesn't let the call through."""

    def __init__(self, code, reason, message, **metadata):
        super().__init__(message)
        self.code, self.reason, self.message, self.metadata = code, reason, message, metadata


class BadMetadata(Exception):
    """Somebody other than the coordinator called, or its metadata contradicts itself."""


@dataclass(frozen=True)
class Call:
    """What the coordinator says about a call beside the request itself."""

    key: tuple  # namespace, saga, step, element ('' where there is none)
    operation: str  # action, confirm or compensate
    epoch: int
    expects_succeeded: bool
    idempotency_key: str  # pass it on to services behind this one
    origin: tuple | None  # the coordinator's store, when the saga began there, and the store's floor

    @property
    def saga_id(self):
        return self.key[1]

    @staticmethod
    def of(context):
        given = dict(context.invocation_metadata())
        try:
            saga_id, step, operation = (given[f"amends-{name}"] for name in ("saga-id", "step", "operation"))
            key, epoch = given["idempotency-key"], int(given["amends-epoch"])
        except (KeyError, ValueError) as error:
            message = f"this method is a step of a saga and takes calls from the coordinator only: {error}"
            raise BadMetadata(message) from None
        parts = key.split("/")
        namespace, element = parts[0], parts[3] if len(parts) == 5 else ""
        expected = [namespace, saga_id, step, *([element] if len(parts) == 5 else []), operation]
        if parts != expected or not all(parts) or operation not in ("action", "confirm", "compensate"):
            raise BadMetadata(f"idempotency-key {key!r} contradicts the other metadata")
        if not 0 <= epoch < 1 << 64 or given.get("amends-expects", "succeeded") != "succeeded":
            raise BadMetadata("amends-epoch or amends-expects can't be read")
        names = (namespace, saga_id, step, element)
        return Call(names, operation, epoch, "amends-expects" in given, key, _origin(given))


def _origin(given):
    """From `amends-saga-begun: MS` and `amends-floor: MS;store=ID`. What can't be read is as good as absent: never swept."""
    try:
        floor, store = given["amends-floor"].split(";store=")
        begun, floor = int(given["amends-saga-begun"]), int(floor)
    except (KeyError, ValueError):
        return None
    return (store, begun, floor) if begun >= floor and 1 <= len(store) <= 128 else None


def decide(row, highest_seen, call, digest):
    """The rules. Pure: RUN, SEAL, PENDING, or the reply's bytes; raises Rejected or Barred."""
    status, ending = row["status"], row["ending"]
    if call.epoch < highest_seen:
        message = f"a newer owner of this saga has called, with epoch {highest_seen}"
        raise Barred(code_pb2.ABORTED, "AMENDS_STALE_EPOCH", message, highest_seen=str(highest_seen))
    if _first_digest(row, call.operation) not in (None, digest):
        raise Barred(code_pb2.ABORTED, "AMENDS_KEY_REUSED", "this idempotency key came before with another request")
    if call.operation == "action":
        return _decide_action(row)
    if status not in ("pending", "succeeded"):  # absent, sealed or refused: nothing stands here
        if call.expects_succeeded:
            message = "the coordinator has recorded that this step succeeded, but there is no record of it here"
            raise Barred(code_pb2.DATA_LOSS, "AMENDS_ROW_MISSING", message)
        if call.operation == "compensate":
            return SEAL if status is None else b""
        raise _compensated() if status == "sealed" else _not_tried()
    if ending == BEGUN[call.operation]:
        return PENDING
    if ending == DONE[call.operation]:
        return row["ending_reply"]
    if call.operation == "compensate" and ending is not None:
        raise Barred(code_pb2.FAILED_PRECONDITION, "AMENDS_CONFIRMED", "this step has been confirmed")
    if call.operation == "confirm" and ending is not None:
        raise _compensated()
    if call.operation == "confirm" and status == "pending":
        raise _not_tried()
    return RUN


def _decide_action(row):
    if row["status"] is None:
        return RUN
    if row["status"] == "refused":
        raise Rejected(row["refusal_reason"], row["refusal_message"])
    if row["ending"] == "compensating":
        raise Barred(code_pb2.ABORTED, "AMENDS_COMPENSATION_PENDING", "this step is being compensated")
    if row["status"] == "sealed" or row["ending"] == "compensated":
        raise _compensated()
    return PENDING if row["status"] == "pending" else row["action_reply"]


def _first_digest(row, operation):
    if operation == "action":
        return row["action_digest"]
    sealed = operation == "compensate" and row["status"] == "sealed"
    return row["ending_digest"] if sealed or row["ending"] in (BEGUN[operation], DONE[operation]) else None


def _compensated():
    return Barred(code_pb2.FAILED_PRECONDITION, "AMENDS_COMPENSATED", "this step has been compensated")


def _not_tried():
    return Barred(code_pb2.FAILED_PRECONDITION, "AMENDS_NOT_TRIED", "this step was not tried here: nothing to confirm")


def _after(row, operation, digest, reply):
    """The row after a handler ran; `reply` is PENDING or the reply's bytes."""
    pending = reply is PENDING
    reply = None if pending else reply
    if operation == "action":
        status = "pending" if pending else "succeeded"
        return {**EMPTY, "status": status, "action_digest": digest, "action_reply": reply}
    ending = (BEGUN if pending else DONE)[operation]
    return {**row, "ending": ending, "ending_digest": digest, "ending_reply": reply}


class Barrier:
    """`domain` is the service's full name: it goes into the details of the service's own refusals."""

    def __init__(self, path, domain, schema=""):
        self.path, self.domain, self._swept = path, domain, {}
        db = self.connect()
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA + schema)
        db.close()

    def connect(self):
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")
        return db

    def handle(self, request, context, handler, reply_type):
        """Answers a call of a step. `handler(db, call, request)` changes the service's tables, on `db` and nothing else, and
        returns a reply or PENDING, or raises Rejected. The answer leaves only after the commit."""
        try:
            call = Call.of(context)
            digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
            answer = self._run(call, digest, lambda db: handler(db, call, request))
            self._sweep(call.origin)
        except Rejected as no:
            self._refuse(context, code_pb2.FAILED_PRECONDITION, self.domain, no.reason, no.message)
        except Barred as barred:
            self._refuse(context, barred.code, "amends", barred.reason, barred.message, barred.metadata)
        except Exception as error:  # unknown to the coordinator, which tries again with the same key
            logging.exception("a call failed; nothing of it was kept")
            message = str(error) if isinstance(error, BadMetadata) else "the participant failed; its log says why"
            context.abort(grpc.StatusCode.INTERNAL, message)
        if answer is PENDING:
            context.set_trailing_metadata((("amends-outcome", "pending"),))
            return reply_type()
        return reply_type.FromString(answer)

    def complete(self, key, operation, handler):
        """Lets the effect of a pending operation happen, unless its step was compensated meanwhile (raises Barred). Call it
        first, then tell the coordinator (CompleteStep). Returns the reply's bytes, the first one on every repeat."""

        def work(db):
            row = self._load(db, key)
            is_action = operation == "action"
            if is_action and (row["status"] == "sealed" or row["ending"] in ("compensating", "compensated")):
                raise _compensated()
            if is_action and row["status"] == "refused":
                raise Rejected(row["refusal_reason"], row["refusal_message"])
            if row["status"] == "succeeded" and (is_action or row["ending"] == DONE[operation]):
                return row["action_reply" if is_action else "ending_reply"]
            if row["status"] != "pending" if is_action else row["ending"] != BEGUN[operation]:
                raise Barred(code_pb2.FAILED_PRECONDITION, "NOT_PENDING", "no such operation is pending here")
            return self._change(db, key, row, operation, _first_digest(row, operation), handler)

        return self._transaction(work)

    def _run(self, call, digest, handler):
        def work(db):
            row = self._load(db, call.key)
            highest_seen = self._meet(db, call)
            decision = decide(row, highest_seen, call, digest)
            if decision is SEAL:
                self._save(db, call.key, {**EMPTY, "status": "sealed", "ending_digest": digest})
                return b""
            if decision is RUN:
                return self._change(db, call.key, row, call.operation, digest, handler)
            return decision

        return self._transaction(work)

    @staticmethod
    def _meet(db, call):
        """The highest epoch seen of this saga before; the call's is kept whatever comes of the call."""
        seen = "SELECT epoch FROM amends_saga WHERE namespace = ? AND saga_id = ?"
        seen = db.execute(seen, call.key[:2]).fetchone()
        store, begun, _ = call.origin or (None, None, None)
        if seen is None and call.origin:
            floor = db.execute("SELECT floor FROM amends_floor WHERE store = ?", (store,)).fetchone()
            if floor and begun < floor[0]:
                raise Barred(code_pb2.ABORTED, "AMENDS_SAGA_OVER", "this saga is over, and what was known of it is swept")
        highest_seen = seen[0] % (1 << 64) if seen else 0
        if seen is None or call.epoch > highest_seen:
            epoch = call.epoch - (1 << 64) if call.epoch >= 1 << 63 else call.epoch
            db.execute("INSERT INTO amends_saga (namespace, saga_id, epoch, store, begun) VALUES (?, ?, ?, ?, ?)"
                       " ON CONFLICT DO UPDATE SET epoch = excluded.epoch", (*call.key[:2], epoch, store, begun))  # fmt: skip
        return highest_seen

    def _sweep(self, origin):
        """Removes the rows of sagas below the floor that came with a call, one batch at a time: the next call goes on."""
        store, _, floor = origin or (None, None, 0)
        if floor < self._swept.get(store, 0) + SWEEP_EVERY_MS:
            return

        def work(db):
            db.execute(RAISE_FLOOR, (store, floor))
            db.execute(DELETE_STEPS, (store, floor, SWEEP_AT_ONCE))
            return db.execute(DELETE_SAGAS, (store, floor)).rowcount

        try:
            if self._transaction(work) < SWEEP_AT_ONCE:
                self._swept[store] = floor
        except sqlite3.Error:  # the call is committed already; a later one sweeps
            logging.exception("old rows could not be swept")

    def _change(self, db, key, row, operation, digest, handler):
        """The handler's change and the row stand or fall together; a refused action undoes the change and keeps the row."""
        db.execute("SAVEPOINT handler")
        try:
            reply = handler(db)
            reply = reply if reply is PENDING else reply.SerializeToString()
            self._save(db, key, _after(row, operation, digest, reply))
            return reply
        except BaseException as error:
            db.execute("ROLLBACK TO handler")
            if isinstance(error, Rejected) and operation == "action":
                refusal = {"refusal_reason": error.reason, "refusal_message": error.message}
                self._save(db, key, {**EMPTY, "status": "refused", "action_digest": digest, **refusal})
            raise

    def _transaction(self, work):
        db = self.connect()
        try:
            db.execute("BEGIN IMMEDIATE")  # the write lock first: two operations can't both find the row empty
            try:
                return work(db)
            finally:
                db.execute("COMMIT")  # what failed was rolled back to its savepoint
        finally:
            db.close()

    @staticmethod
    def _load(db, key):
        found = db.execute(f"SELECT {', '.join(COLUMNS)} FROM amends_barrier WHERE {KEY}", key).fetchone()
        return dict(zip(COLUMNS, found)) if found else EMPTY

    @staticmethod
    def _save(db, key, row):
        columns = ", ".join(("namespace", "saga_id", "step", "element", *COLUMNS))
        db.execute(f"INSERT OR REPLACE INTO amends_barrier ({columns}) VALUES ({', '.join('?' * 12)})",
                   (*key, *(row[column] for column in COLUMNS)))  # fmt: skip

    @staticmethod
    def _refuse(context, code, domain, reason, message, metadata=None):
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {}))
        context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, message=message, details=[info])))
