"""The barrier held to the published table, raced, and broken off: python -m unittest discover -s participant"""

import hashlib
import json
import logging
import os
import tempfile
import threading
import unittest

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from barrier import COLUMNS, PENDING, Barrier, Rejected

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "..", "..", "participants", "barrier-table.jsonl")
SCHEMA = "CREATE TABLE IF NOT EXISTS ran (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT;"


class Aborted(Exception):
    """What a call was told instead of a reply."""

    def __init__(self, code, details=None):
        super().__init__(f"{code} {details}")
        self.code, self.details = code, details


class Context:
    """The part of grpc.ServicerContext that the barrier uses."""

    def __init__(self, operation, saga="saga", epoch=1, expects=False, **change):
        key = f"default/{saga}/step/{operation}"
        given = {"amends-saga-id": saga, "amends-step": "step", "amends-operation": operation, "amends-attempt": "1",
                 "amends-epoch": str(epoch), "idempotency-key": key}  # fmt: skip
        if expects:
            given["amends-expects"] = "succeeded"
        given.update({name.replace("_", "-"): value for name, value in change.items()})
        self.metadata, self.trailers = tuple(given.items()), ()

    def invocation_metadata(self):
        return self.metadata

    def set_trailing_metadata(self, trailers):
        self.trailers = trailers

    def abort(self, code, _):
        raise Aborted(code)

    def abort_with_status(self, status):
        details = error_details_pb2.ErrorInfo()
        packed = dict(status.trailing_metadata)["grpc-status-details-bin"]
        rpc = rpc_status.status_pb2.Status.FromString(packed)
        rpc.details[0].Unpack(details)
        raise Aborted(status.code, details)


def bytes_of(text):
    return StringValue(value=text).SerializeToString()


DIGESTS = {name: hashlib.sha256(bytes_of(name)).digest() for name in ("action", "confirm", "compensate", "other")}


def stored(column, text):
    """A column's value, from how the table shows it."""
    if text is None:
        return None
    return DIGESTS[text] if column.endswith("digest") else bytes_of(text) if column.endswith("reply") else text


def shown(column, value):
    if column.endswith("digest"):
        return next(name for name, digest in DIGESTS.items() if digest == value)
    return StringValue.FromString(value).value if column.endswith("reply") else value


def does(db, _, request):
    db.execute("INSERT INTO ran (what) VALUES (?)", (request.value,))
    return StringValue(value="done")


def refuses(db, call, request):
    does(db, call, request)
    raise Rejected("NO_ROOM", "there is no room")


def waits(db, call, request):
    does(db, call, request)
    return PENDING


def fails(db, call, request):
    does(db, call, request)
    raise ZeroDivisionError


class BarrierTest(unittest.TestCase):
    def setUp(self):
        logging.disable()  # failures here are on purpose
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.barrier = Barrier(os.path.join(folder.name, "test.db"), "test.v1.Test", SCHEMA)
        self.db = self.barrier.connect()
        self.addCleanup(self.db.close)

    def call(self, operation, handler=does, request=None, **how):
        context = Context(operation, **how)
        reply = self.barrier.handle(StringValue(value=request or operation), context, handler, StringValue)
        return "pending" if context.trailers else reply.value

    def refusal(self, *args, **how):
        with self.assertRaises(Aborted) as caught:
            self.call(*args, **how)
        return caught.exception

    def ran(self):
        return [what for (what,) in self.db.execute("SELECT what FROM ran ORDER BY id")]

    def test_every_line_of_the_published_table(self):
        with open(TABLE, encoding="utf-8") as lines:
            cases = [json.loads(line) for line in lines]
        self.assertGreater(len(cases), 200)
        for case in cases:
            with self.subTest(case):
                self.play(case)

    def play(self, case):
        key, before, call, ran = ("default", "saga", "step", ""), case["before"], case["call"], []
        self.db.execute("BEGIN IMMEDIATE")
        for table in ("amends_barrier", "amends_saga", "ran"):
            self.db.execute(f"DELETE FROM {table}")
        self.db.execute("INSERT INTO amends_saga (namespace, saga_id, epoch) VALUES ('default', 'saga', 7)")
        if before:
            self.barrier._save(self.db, key, {column: stored(column, before.get(column)) for column in COLUMNS})
        self.db.execute("COMMIT")

        def handler(*arguments):
            ran.append(True)
            return {"does": does, "refuses": refuses, "waits": waits}[case["handler"]](*arguments)

        try:
            expects, epoch = call["expects_succeeded"], call["epoch"]
            reply = self.call(call["operation"], handler, call["request"], epoch=epoch, expects=expects)
            answer = {"outcome": "pending"} if reply == "pending" else {"reply": reply}
        except Aborted as aborted:
            code, info = aborted.code.name.title().replace("_", ""), aborted.details
            answer = {"code": code, "domain": info.domain, "reason": info.reason, "metadata": dict(info.metadata)}
        row = self.barrier._load(self.db, key)
        after = {column: shown(column, value) for column, value in row.items() if value is not None} or None
        epoch = self.db.execute("SELECT epoch FROM amends_saga").fetchone()[0]
        found = {"ran": bool(ran), "answer": answer, "after": after, "epoch_after": epoch}
        self.assertEqual(found, {name: case[name] for name in found})
        self.assertEqual(bool(self.ran()), case["ran"] and case["handler"] != "refuses")

    def test_action_and_compensate_that_race_leave_nothing(self):
        orders = set()
        for number in range(40):
            saga, start, told = f"saga-{number}", threading.Barrier(2), {}

            def race(operation):
                start.wait()
                try:
                    told[operation] = self.call(operation, saga=saga)
                except Aborted as aborted:
                    told[operation] = aborted.details.reason

            threads = [threading.Thread(target=race, args=(operation,)) for operation in ("action", "compensate")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            orders.add((told["action"], told["compensate"]))
            self.assertIn(self.ran(), (["action", "compensate"], []), told)
            self.db.execute("DELETE FROM ran")
        self.assertLessEqual(orders, {("done", "done"), ("AMENDS_COMPENSATED", "")})

    def test_copies_of_an_action_that_race_run_it_once(self):
        threads = [threading.Thread(target=self.call, args=("action",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.ran(), ["action"])

    def test_a_failure_keeps_nothing_but_the_epoch(self):
        self.assertEqual(self.refusal("action", fails, epoch=5).code, grpc.StatusCode.INTERNAL)
        self.assertEqual(self.ran(), [])
        self.assertEqual(self.refusal("action", epoch=4).details.reason, "AMENDS_STALE_EPOCH")
        self.assertEqual(self.call("action", epoch=5), "done")

    def test_the_widest_epoch_is_kept_exactly(self):
        self.call("action", epoch=2**64 - 1)
        self.assertEqual(self.refusal("action", epoch=2**64 - 2).details.metadata["highest_seen"], str(2**64 - 1))

    def test_rows_go_below_the_floor_and_a_late_copy_finds_the_saga_over(self):
        def call(saga, begun, floor, store="a"):
            return self.call("action", saga=saga, amends_saga_begun=str(begun), amends_floor=f"{floor};store={store}")

        def sagas():
            return [saga for (saga,) in self.db.execute("SELECT DISTINCT saga_id FROM amends_barrier ORDER BY 1")]

        call("old", 1_000, 500)
        call("other-store", 1_000, 500, "b")
        self.call("action", saga="no-origin")
        self.call("action", saga="unreadable", amends_saga_begun="1", amends_floor="2;store=a")
        call("stuck", 100_000, 500)
        self.assertEqual(len(sagas()), 5)
        call("new", 200_000, 100_000)
        self.assertEqual(sagas(), ["new", "no-origin", "other-store", "stuck", "unreadable"])
        before = self.ran()
        with self.assertRaises(Aborted) as caught:
            call("old", 1_000, 500)
        self.assertEqual((caught.exception.code.name, caught.exception.details.reason), ("ABORTED", "AMENDS_SAGA_OVER"))
        self.assertEqual(self.ran(), before)
        self.assertEqual(call("stuck", 100_000, 100_000), "done")
        self.assertEqual(self.ran(), before)
        self.assertEqual(self.db.execute("SELECT count(*) FROM amends_saga WHERE saga_id = 'old'").fetchone(), (0,))

    def test_metadata_that_is_missing_or_contradicts_itself_is_internal(self):
        wrong = [{"idempotency_key": "default/other/step/action"}, {"amends_operation": "query"}, {"amends_epoch": "1.5"},
                 {"amends_expects": "nothing"}, {"idempotency_key": "saga/step/action"}]  # fmt: skip
        for change in wrong:
            with self.subTest(change):
                self.assertEqual(self.refusal("action", **change).code, grpc.StatusCode.INTERNAL)
        self.assertEqual(self.ran(), [])

    def test_a_pending_effect_comes_once_and_never_after_its_compensation(self):
        key = ("default", "saga", "step", "")
        with self.assertRaisesRegex(Exception, "pending"):
            self.barrier.complete(key, "action", lambda db: StringValue(value="too early"))
        self.assertEqual(self.call("action", lambda *_: PENDING), "pending")
        for _ in range(2):
            reply = self.barrier.complete(key, "action", lambda db: does(db, None, StringValue(value="effect")))
            self.assertEqual(StringValue.FromString(reply).value, "done")
        self.assertEqual(self.ran(), ["effect"])
        self.call("action", lambda *_: PENDING, saga="undone")
        self.call("compensate", saga="undone")
        with self.assertRaisesRegex(Exception, "compensated"):
            self.barrier.complete(("default", "undone", "step", ""), "action", lambda db: self.fail("it ran"))


if __name__ == "__main__":
    unittest.main()
