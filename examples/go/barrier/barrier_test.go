package barrier

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	_ "modernc.org/sqlite"
)

type message = wrapperspb.StringValue
type handler = Handler[*message, *message]

func open(t *testing.T) *Barrier {
	t.Helper()
	schema := "CREATE TABLE ran (id INTEGER PRIMARY KEY, saga TEXT NOT NULL, what TEXT NOT NULL) STRICT;"
	b, err := Open(filepath.Join(t.TempDir(), "test.db"), "test.v1.Test", schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func does(tx *sql.Tx, call Call, request *message) (*message, error) {
	_, err := tx.Exec("INSERT INTO ran (saga, what) VALUES (?, ?)", call.Key.SagaID, request.Value)
	return wrapperspb.String("done"), err
}

func then(err error) handler {
	return func(tx *sql.Tx, call Call, request *message) (*message, error) {
		_, broken := does(tx, call, request)
		return nil, errors.Join(broken, err)
	}
}

var handlers = map[string]handler{
	"does":    does,
	"refuses": then(&Rejected{Reason: "NO_ROOM", Message: "there is no room"}),
	"waits":   then(ErrPending),
}

type asked struct {
	Operation        string `json:"operation"`
	Request          string `json:"request"`
	Epoch            uint64 `json:"epoch"`
	ExpectsSucceeded bool   `json:"expects_succeeded"`
	saga             string
}

// The part of a gRPC server's stream that the barrier uses.
type stream struct{ trailer metadata.MD }

func (s *stream) Method() string                  { return "" }
func (s *stream) SetHeader(metadata.MD) error     { return nil }
func (s *stream) SendHeader(metadata.MD) error    { return nil }
func (s *stream) SetTrailer(md metadata.MD) error { s.trailer = md; return nil }

// What a call is told, as the published table shows it.
func (b *Barrier) ask(call asked, handler handler, change ...string) map[string]any {
	saga := call.saga
	if saga == "" {
		saga = "saga"
	}
	given := metadata.Pairs("amends-saga-id", saga, "amends-step", "step", "amends-operation", call.Operation,
		"amends-attempt", "1", "amends-epoch", fmt.Sprint(call.Epoch),
		"idempotency-key", "default/"+saga+"/step/"+call.Operation)
	if call.ExpectsSucceeded {
		given.Set("amends-expects", "succeeded")
	}
	for i := 0; i < len(change); i += 2 {
		given.Set(change[i], change[i+1])
	}
	server := &stream{}
	ctx := grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(context.Background(), given), server)
	reply, err := Handle(ctx, b, wrapperspb.String(call.Request), handler)
	switch {
	case err != nil:
		told := map[string]any{"code": status.Code(err).String()}
		for _, detail := range status.Convert(err).Details() {
			info := detail.(*errdetails.ErrorInfo)
			metadata := map[string]any{}
			for name, value := range info.Metadata {
				metadata[name] = value
			}
			told["domain"], told["reason"], told["metadata"] = info.Domain, info.Reason, metadata
		}
		return told
	case server.trailer.Get("amends-outcome") != nil:
		return map[string]any{"outcome": "pending"}
	}
	return map[string]any{"reply": reply.Value}
}

func (b *Barrier) ran(t *testing.T, saga string) (ran []string) {
	t.Helper()
	rows, err := b.db.Query("SELECT what FROM ran WHERE saga = ? ORDER BY id", saga)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var what string
		if err := rows.Scan(&what); err != nil {
			t.Fatal(err)
		}
		ran = append(ran, what)
	}
	return ran
}

func bytesOf(text string) []byte {
	bytes, err := proto.Marshal(wrapperspb.String(text))
	if err != nil {
		panic(err)
	}
	return bytes
}

func digest(name string) []byte {
	digest := sha256.Sum256(bytesOf(name))
	return digest[:]
}

func stored(shown map[string]string) row {
	optional := func(column string, of func(string) []byte) []byte {
		if text, given := shown[column]; given {
			return of(text)
		}
		return nil
	}
	return row{
		status: shown["status"], refusalReason: shown["refusal_reason"], refusalMessage: shown["refusal_message"],
		ending:       shown["ending"],
		actionDigest: optional("action_digest", digest), actionReply: optional("action_reply", bytesOf),
		endingDigest: optional("ending_digest", digest), endingReply: optional("ending_reply", bytesOf),
	}
}

func TestEveryLineOfThePublishedTable(t *testing.T) {
	file, err := os.Open("../../../participants/barrier-table.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b, lines, number := open(t), bufio.NewScanner(file), 0
	for ; lines.Scan(); number++ {
		var line struct {
			Before, After map[string]string
			Call          asked
			Handler       string
			Ran           bool
			Answer        map[string]any
			EpochAfter    int64 `json:"epoch_after"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		saga := fmt.Sprintf("saga-%d", number)
		key := Key{"default", saga, "step", ""}
		prepare(t, b, key, line.Before)
		ran := false
		answer := b.ask(asked{line.Call.Operation, line.Call.Request, line.Call.Epoch, line.Call.ExpectsSucceeded, saga},
			func(tx *sql.Tx, call Call, request *message) (*message, error) {
				ran = true
				return handlers[line.Handler](tx, call, request)
			})
		after, epoch := dump(t, b, key)
		kept := len(b.ran(t, saga)) == 1
		if ran != line.Ran || !reflect.DeepEqual(answer, line.Answer) || !reflect.DeepEqual(after, stored(line.After)) ||
			epoch != line.EpochAfter || kept != (line.Ran && line.Handler != "refuses") {
			t.Errorf("%s\nran %v, answer %v, after %+v, epoch %d", lines.Text(), ran, answer, after, epoch)
		}
	}
	if number < 200 {
		t.Fatalf("the table has only %d lines", number)
	}
}

func prepare(t *testing.T, b *Barrier, key Key, before map[string]string) {
	t.Helper()
	_, err := b.transaction(func(tx *sql.Tx) ([]byte, error) {
		_, err := tx.Exec("INSERT INTO amends_saga (namespace, saga_id, epoch) VALUES (?, ?, 7)", key.Namespace, key.SagaID)
		if err == nil && before != nil {
			err = save(tx, key, stored(before))
		}
		return nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, b *Barrier, key Key) (found row, epoch int64) {
	t.Helper()
	_, err := b.transaction(func(tx *sql.Tx) (_ []byte, err error) {
		if found, err = load(tx, key); err != nil {
			return nil, err
		}
		return nil, tx.QueryRow("SELECT epoch FROM amends_saga WHERE saga_id = ?", key.SagaID).Scan(&epoch)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, epoch
}

func TestActionAndCompensateThatRaceLeaveNothing(t *testing.T) {
	b := open(t)
	for number := range 40 {
		saga := fmt.Sprintf("saga-%d", number)
		var told [2]map[string]any
		var both sync.WaitGroup
		for i, operation := range []string{"action", "compensate"} {
			both.Go(func() {
				told[i] = b.ask(asked{Operation: operation, Request: operation, Epoch: 1, saga: saga}, does)
			})
		}
		both.Wait()
		ran := b.ran(t, saga)
		undone := reflect.DeepEqual(ran, []string{"action", "compensate"}) && told[0]["reply"] == "done"
		sealed := len(ran) == 0 && told[0]["reason"] == "AMENDS_COMPENSATED" && told[1]["reply"] == ""
		if !undone && !sealed {
			t.Fatalf("%v, told %v", ran, told)
		}
	}
}

func TestCopiesOfAnActionThatRaceRunItOnce(t *testing.T) {
	b := open(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if told := b.ask(asked{Operation: "action", Request: "action", Epoch: 1}, does); told["reply"] != "done" {
				t.Error(told)
			}
		})
	}
	all.Wait()
	if ran := b.ran(t, "saga"); len(ran) != 1 {
		t.Fatal(ran)
	}
}

func TestAFailureKeepsNothingButTheEpoch(t *testing.T) {
	b := open(t)
	widest := asked{Operation: "action", Request: "action", Epoch: 1<<64 - 1}
	if told := b.ask(widest, then(errors.New("broken"))); told["code"] != codes.Internal.String() || b.ran(t, "saga") != nil {
		t.Fatal(told, b.ran(t, "saga"))
	}
	older := widest
	older.Epoch--
	if told := b.ask(older, does); told["reason"] != "AMENDS_STALE_EPOCH" {
		t.Fatal(told)
	}
	if told := b.ask(widest, does); told["reply"] != "done" {
		t.Fatal(told)
	}
}

func TestRowsGoBelowTheFloorAndALateCopyFindsTheSagaOver(t *testing.T) {
	b := open(t)
	call := func(saga string, origin ...string) map[string]any {
		return b.ask(asked{Operation: "action", Request: "action", Epoch: 1, saga: saga}, does, origin...)
	}
	from := func(begun, floor string) []string { return []string{"amends-saga-begun", begun, "amends-floor", floor} }
	call("old", from("1000", "500;store=a")...)
	call("other-store", from("1000", "500;store=b")...)
	call("no-origin")
	call("unreadable", from("1", "2;store=a")...)
	call("stuck", from("100000", "500;store=a")...)
	call("new", from("200000", "100000;store=a")...)
	for saga, rows := range map[string]int{"old": 0, "other-store": 1, "no-origin": 1, "unreadable": 1, "stuck": 1, "new": 1} {
		var found int
		err := b.db.QueryRow("SELECT count(*) FROM amends_barrier WHERE saga_id = ?", saga).Scan(&found)
		if err != nil || found != rows {
			t.Errorf("%s has %d rows, not %d (%v)", saga, found, rows, err)
		}
	}
	for range 2 {
		told := call("old", from("1000", "500;store=a")...)
		if told["code"] != "Aborted" || told["reason"] != "AMENDS_SAGA_OVER" || len(b.ran(t, "old")) != 1 {
			t.Fatal(told, b.ran(t, "old"))
		}
	}
	if told := call("stuck", from("100000", "100000;store=a")...); told["reply"] != "done" || len(b.ran(t, "stuck")) != 1 {
		t.Fatal(told)
	}
}

func TestMetadataThatContradictsItselfIsInternal(t *testing.T) {
	b := open(t)
	for _, change := range [][]string{
		{"idempotency-key", "default/other/step/action"}, {"idempotency-key", "saga/step/action"},
		{"amends-operation", "query"}, {"amends-epoch", "1.5"}, {"amends-expects", "nothing"},
	} {
		told := b.ask(asked{Operation: "action", Request: "action", Epoch: 1}, does, change...)
		if told["code"] != codes.Internal.String() || b.ran(t, "saga") != nil {
			t.Error(change, told)
		}
	}
}

func TestAPendingEffectComesOnceAndNeverAfterItsCompensation(t *testing.T) {
	b := open(t)
	waits := func(*sql.Tx, Call, *message) (*message, error) { return nil, ErrPending }
	effects := 0
	complete := func(saga string) error {
		_, err := b.Complete(Key{"default", saga, "step", ""}, Action, func(*sql.Tx) (proto.Message, error) {
			effects++
			return wrapperspb.String("effect"), nil
		})
		return err
	}
	if err := complete("saga"); !errors.Is(err, notPending) {
		t.Fatal(err)
	}
	b.ask(asked{Operation: "action", Request: "action", Epoch: 1}, waits)
	if err := errors.Join(complete("saga"), complete("saga")); err != nil || effects != 1 {
		t.Fatal(err, effects)
	}
	b.ask(asked{Operation: "action", Request: "action", Epoch: 1, saga: "undone"}, waits)
	b.ask(asked{Operation: "compensate", Request: "compensate", Epoch: 1, saga: "undone"}, does)
	if err := complete("undone"); !errors.Is(err, compensated) || effects != 1 {
		t.Fatal(err, effects)
	}
}
