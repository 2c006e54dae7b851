package barrier

import (
	"bytes"
	"fmt"

	"google.golang.org/grpc/codes"
)

// Barred says that the barrier doesn't let a call through.
type Barred struct {
	Code            codes.Code
	Reason, Message string
	Metadata        map[string]string
}

func (barred *Barred) Error() string { return barred.Reason + ": " + barred.Message }

var (
	compensated = &Barred{Code: codes.FailedPrecondition, Reason: "AMENDS_COMPENSATED", Message: "this step has been compensated"}
	confirmed   = &Barred{Code: codes.FailedPrecondition, Reason: "AMENDS_CONFIRMED", Message: "this step has been confirmed"}
	notTried    = &Barred{Code: codes.FailedPrecondition, Reason: "AMENDS_NOT_TRIED",
		Message: "this step was not tried here: nothing to confirm"}
	compensationPending = &Barred{Code: codes.Aborted, Reason: "AMENDS_COMPENSATION_PENDING",
		Message: "this step is being compensated and that is not settled yet"}
	keyReused = &Barred{Code: codes.Aborted, Reason: "AMENDS_KEY_REUSED",
		Message: "this idempotency key came before with another request"}
	rowMissing = &Barred{Code: codes.DataLoss, Reason: "AMENDS_ROW_MISSING",
		Message: "the coordinator has recorded that this step succeeded, but there is no record of it here"}
	sagaOver = &Barred{Code: codes.Aborted, Reason: "AMENDS_SAGA_OVER",
		Message: "this saga is over, and what was known of it is swept"}
	notPending = &Barred{Code: codes.FailedPrecondition, Reason: "NOT_PENDING", Message: "no such operation is pending here"}
)

// A decision: run the handler, replay an answer, or leave a tombstone.
type decision int

const (
	run decision = iota
	replay
	seal
)

// The rules. Pure: no database, clock or gRPC.
func decide(row row, seen uint64, call Call, digest []byte) (decision, []byte, error) {
	if call.Epoch < seen {
		return replay, nil, &Barred{
			Code: codes.Aborted, Reason: "AMENDS_STALE_EPOCH",
			Message:  fmt.Sprintf("a newer owner of this saga has called, with epoch %d", seen),
			Metadata: map[string]string{"highest_seen": fmt.Sprint(seen)},
		}
	}
	if first := row.firstDigest(call.Operation); first != nil && !bytes.Equal(first, digest) {
		return replay, nil, keyReused
	}
	if call.Operation == Action {
		return decideAction(row)
	}
	nothingStands := row.status != "pending" && row.status != "succeeded" // absent, sealed or refused
	switch {
	case nothingStands && call.ExpectsSucceeded:
		return replay, nil, rowMissing
	case nothingStands && call.Operation == Compensate && row.status == "":
		return seal, nil, nil
	case nothingStands && call.Operation == Compensate:
		return replay, nil, nil
	case row.status == "sealed":
		return replay, nil, compensated
	case nothingStands:
		return replay, nil, notTried
	case row.ending == call.Operation.begun():
		return replay, nil, ErrPending
	case row.ending == call.Operation.done():
		return replay, row.endingReply, nil
	case row.ending != "" && call.Operation == Compensate:
		return replay, nil, confirmed
	case row.ending != "":
		return replay, nil, compensated
	case row.status == "pending" && call.Operation == Confirm:
		return replay, nil, notTried
	}
	return run, nil, nil
}

func decideAction(row row) (decision, []byte, error) {
	switch {
	case row.status == "":
		return run, nil, nil
	case row.status == "refused":
		return replay, nil, &Rejected{Reason: row.refusalReason, Message: row.refusalMessage}
	case row.ending == "compensating":
		return replay, nil, compensationPending
	case row.status == "sealed" || row.ending == "compensated":
		return replay, nil, compensated
	case row.status == "pending":
		return replay, nil, ErrPending
	}
	return replay, row.actionReply, nil
}

// Whether the effect of a pending operation may happen now.
func decideCompletion(row row, operation Operation) (decision, []byte, error) {
	if operation != Action {
		switch row.ending {
		case operation.begun():
			return run, nil, nil
		case operation.done():
			return replay, row.endingReply, nil
		}
		return replay, nil, notPending
	}
	switch {
	case row.status == "":
		return replay, nil, notPending
	case row.status == "refused":
		return replay, nil, &Rejected{Reason: row.refusalReason, Message: row.refusalMessage}
	case row.status == "sealed" || row.ending == "compensating" || row.ending == "compensated":
		return replay, nil, compensated
	case row.status == "pending":
		return run, nil, nil
	}
	return replay, row.actionReply, nil
}
