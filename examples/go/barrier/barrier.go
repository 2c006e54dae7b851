// Package barrier makes a service a good participant, in one SQLite database with the service's own tables.
//
// One row per step, locked before it is read and committed together with the business change, orders that step's action,
// confirm and compensate. The tables and the rules are the published ones of participants/BARRIER.md; the tests hold this
// package to participants/barrier-table.jsonl. Copy it: it needs grpc-go and any driver of SQLite.
package barrier

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"log"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// ErrPending says that the effect comes later; a handler may return it. See Complete.
var ErrPending = errors.New("the effect comes later")

// Rejected says no: nothing happened. For an action it is final.
type Rejected struct {
	Reason  string // a constant for programs: "NO_SUCH_PAPER"
	Message string // for people; kept in the saga's history, so never a secret
}

func (no *Rejected) Error() string { return no.Reason + ": " + no.Message }

// Barrier is the barrier of one service.
type Barrier struct {
	db     *sql.DB
	domain string
	swept  sync.Map // from store to the floor below which everything is gone
}

// Open makes the barrier's tables, and the service's own by schema, where they don't exist. The domain is the service's full
// name: it goes into the details of the service's own refusals.
func Open(path, domain, schema string) (*Barrier, error) {
	// The write lock is taken first: two operations of a step can't both find its row empty.
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(30000)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(tables + schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Barrier{db: db, domain: domain}, nil
}

// DB is for reading what is committed.
func (b *Barrier) DB() *sql.DB { return b.db }

// Close closes the database.
func (b *Barrier) Close() error { return b.db.Close() }

// Handler changes the service's tables, on tx and nothing else, and returns a reply, a Rejected or ErrPending. With any other
// error nothing is kept; the coordinator takes it as unknown and tries again with the same key.
type Handler[Request, Reply proto.Message] func(tx *sql.Tx, call Call, request Request) (Reply, error)

// Handle answers a call of a step. The answer leaves only after the commit.
func Handle[Request proto.Message, R any, Reply interface {
	*R
	proto.Message
}](ctx context.Context, b *Barrier, request Request, handler Handler[Request, Reply]) (Reply, error) {
	call, err := callOf(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	digest, err := digestOf(request)
	if err != nil {
		return nil, b.statusOf(err)
	}
	stored, err := b.run(call, digest, func(tx *sql.Tx) ([]byte, error) {
		reply, err := handler(tx, call, request)
		if err != nil {
			return nil, err
		}
		return proto.Marshal(reply)
	})
	b.sweep(call.Origin)
	reply := Reply(new(R))
	switch {
	case errors.Is(err, ErrPending):
		return reply, grpc.SetTrailer(ctx, metadata.Pairs("amends-outcome", "pending"))
	case err != nil:
		return nil, b.statusOf(err)
	}
	if err := proto.Unmarshal(stored, reply); err != nil {
		return nil, b.statusOf(err)
	}
	return reply, nil
}

func digestOf(request proto.Message) ([]byte, error) {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	digest := sha256.Sum256(bytes)
	return digest[:], err
}

func (b *Barrier) run(call Call, digest []byte, handler func(*sql.Tx) ([]byte, error)) ([]byte, error) {
	return b.transaction(func(tx *sql.Tx) ([]byte, error) {
		row, err := load(tx, call.Key)
		if err != nil {
			return nil, err
		}
		seen, err := meet(tx, call)
		if err != nil {
			return nil, err
		}
		what, reply, err := decide(row, seen, call, digest)
		switch {
		case err != nil || what == replay:
			return reply, err
		case what == seal:
			return nil, save(tx, call.Key, row.sealed(digest))
		}
		return change(tx, call.Key, row, call.Operation, digest, handler)
	})
}

// Complete lets the effect of a pending operation happen, unless its step was compensated meanwhile. Call it first, then tell
// the coordinator (CompleteStep). The handler is not run again by a repeat.
func (b *Barrier) Complete(key Key, operation Operation, handler func(*sql.Tx) (proto.Message, error)) ([]byte, error) {
	return b.transaction(func(tx *sql.Tx) ([]byte, error) {
		row, err := load(tx, key)
		if err != nil {
			return nil, err
		}
		what, reply, err := decideCompletion(row, operation)
		if err != nil || what == replay {
			return reply, err
		}
		return change(tx, key, row, operation, row.firstDigest(operation), func(tx *sql.Tx) ([]byte, error) {
			reply, err := handler(tx)
			if err != nil {
				return nil, err
			}
			return proto.Marshal(reply)
		})
	})
}

// The handler's change and the row stand or fall together; a refused action undoes the change and keeps the row.
func change(tx *sql.Tx, key Key, before row, operation Operation, digest []byte, handler func(*sql.Tx) ([]byte, error)) ([]byte, error) {
	if _, err := tx.Exec("SAVEPOINT handler"); err != nil {
		return nil, err
	}
	reply, said := handler(tx)
	if said == nil || errors.Is(said, ErrPending) {
		err := save(tx, key, before.after(operation, digest, reply, said != nil))
		if err == nil {
			return reply, said
		}
		said = err
	}
	if _, err := tx.Exec("ROLLBACK TO handler"); err != nil {
		return nil, err
	}
	var no *Rejected
	if errors.As(said, &no) && operation == Action {
		if err := save(tx, key, refusedRow(digest, no)); err != nil {
			return nil, err
		}
	}
	return nil, said
}

// What failed was rolled back to its savepoint, so that the rest (the epoch) is committed either way.
func (b *Barrier) transaction(work func(*sql.Tx) ([]byte, error)) ([]byte, error) {
	// Not the call's context: a caller that goes away must not break off what is half done.
	tx, err := b.db.Begin()
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // does nothing after the commit
	reply, said := work(tx)
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	return reply, said
}

// FAILED_PRECONDITION only where it is certain that the call had no effect and never will have one.
func (b *Barrier) statusOf(err error) error {
	code, message, info := codes.Internal, "the participant failed; its log says why", (*errdetails.ErrorInfo)(nil)
	var no *Rejected
	var barred *Barred
	switch {
	case errors.As(err, &barred):
		code, message = barred.Code, barred.Message
		info = &errdetails.ErrorInfo{Reason: barred.Reason, Domain: "amends", Metadata: barred.Metadata}
	case errors.As(err, &no):
		code, message = codes.FailedPrecondition, no.Message
		info = &errdetails.ErrorInfo{Reason: no.Reason, Domain: b.domain}
	default:
		log.Printf("a call failed and nothing of it was kept: %v", err)
		return status.Error(code, message)
	}
	detailed, err := status.New(code, message).WithDetails(protoadapt.MessageV1Of(info))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return detailed.Err()
}
