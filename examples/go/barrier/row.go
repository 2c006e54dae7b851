package barrier

import (
	"database/sql"
	"errors"
)

const tables = `
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
    epoch INTEGER NOT NULL, -- unsigned, stored as its two's complement
    first_seen INTEGER NOT NULL DEFAULT (unixepoch()),
    store TEXT, begun INTEGER, -- which coordinator's, and when it began in unix ms; NULL: never swept
    PRIMARY KEY (namespace, saga_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amends_floor (store TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS amends_saga_by_age ON amends_saga (store, begun);
`

// What is remembered of one step; the zero value is "nothing".
type row struct {
	status                        string
	actionDigest, actionReply     []byte
	refusalReason, refusalMessage string
	ending                        string
	endingDigest, endingReply     []byte
}

func (r row) sealed(digest []byte) row { return row{status: "sealed", endingDigest: digest} }

func refusedRow(digest []byte, no *Rejected) row {
	return row{status: "refused", actionDigest: digest, refusalReason: no.Reason, refusalMessage: no.Message}
}

// The digest that came with the first accepted request of an operation.
func (r row) firstDigest(operation Operation) []byte {
	switch {
	case operation == Action:
		return r.actionDigest
	case operation == Compensate && r.status == "sealed", r.ending == operation.begun(), r.ending == operation.done():
		return r.endingDigest
	}
	return nil
}

// The row after a handler ran.
func (r row) after(operation Operation, digest, reply []byte, pending bool) row {
	if reply == nil && !pending {
		reply = []byte{} // an empty reply is not a missing one
	}
	switch {
	case operation == Action && pending:
		return row{status: "pending", actionDigest: digest}
	case operation == Action:
		return row{status: "succeeded", actionDigest: digest, actionReply: reply}
	}
	r.ending, r.endingDigest, r.endingReply = operation.done(), digest, reply
	if pending {
		r.ending = operation.begun()
	}
	return r
}

func load(tx *sql.Tx, key Key) (row, error) {
	var found row
	var reason, message, ending sql.NullString
	err := tx.QueryRow(`SELECT status, action_digest, action_reply, refusal_reason, refusal_message,
		ending, ending_digest, ending_reply FROM amends_barrier
		WHERE namespace = ? AND saga_id = ? AND step = ? AND element = ?`,
		key.Namespace, key.SagaID, key.Step, key.Element,
	).Scan(&found.status, &found.actionDigest, &found.actionReply, &reason, &message,
		&ending, &found.endingDigest, &found.endingReply)
	found.refusalReason, found.refusalMessage, found.ending = reason.String, message.String, ending.String
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, nil
	}
	return found, err
}

func save(tx *sql.Tx, key Key, r row) error {
	text := func(value string) sql.NullString { return sql.NullString{String: value, Valid: value != ""} }
	message := sql.NullString{String: r.refusalMessage, Valid: r.status == "refused"}
	_, err := tx.Exec(`INSERT OR REPLACE INTO amends_barrier (namespace, saga_id, step, element, status, action_digest,
		action_reply, refusal_reason, refusal_message, ending, ending_digest, ending_reply)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		key.Namespace, key.SagaID, key.Step, key.Element, r.status, r.actionDigest,
		r.actionReply, text(r.refusalReason), message, text(r.ending), r.endingDigest, r.endingReply)
	return err
}

// The highest epoch seen of this saga before; this call's is kept whatever comes of it.
func meet(tx *sql.Tx, call Call) (uint64, error) {
	var seen int64
	err := tx.QueryRow("SELECT epoch FROM amends_saga WHERE namespace = ? AND saga_id = ?",
		call.Key.Namespace, call.Key.SagaID).Scan(&seen)
	isNew := errors.Is(err, sql.ErrNoRows)
	if err != nil && !isNew {
		return 0, err
	}
	if !isNew && call.Epoch <= uint64(seen) {
		return uint64(seen), nil
	}
	var store, begun any
	if call.Origin != nil {
		store, begun = call.Origin.Store, call.Origin.Begun
	}
	if isNew && call.Origin != nil {
		var floor int64
		err := tx.QueryRow("SELECT floor FROM amends_floor WHERE store = ?", store).Scan(&floor)
		switch {
		case err == nil && call.Origin.Begun < floor:
			return 0, sagaOver
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return 0, err
		}
	}
	_, err = tx.Exec(`INSERT INTO amends_saga (namespace, saga_id, epoch, store, begun) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET epoch = excluded.epoch`, call.Key.Namespace, call.Key.SagaID, int64(call.Epoch), store, begun)
	return uint64(seen), err
}
