package barrier

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
)

// Operation is which of a step's operations is called.
type Operation string

// TCC's try and cancel arrive as Action and Compensate.
const (
	Action     Operation = "action"
	Confirm    Operation = "confirm"
	Compensate Operation = "compensate"
)

func (o Operation) begun() string {
	return map[Operation]string{Confirm: "confirming", Compensate: "compensating"}[o]
}
func (o Operation) done() string {
	return map[Operation]string{Confirm: "confirmed", Compensate: "compensated"}[o]
}

// Key names one row. Element is empty where the step has none.
type Key struct{ Namespace, SagaID, Step, Element string }

// Call is what the coordinator says about a call beside the request itself.
type Call struct {
	Key              Key
	Operation        Operation
	Epoch            uint64
	ExpectsSucceeded bool
	IdempotencyKey   string // pass it on to services behind this one
	Origin           *Origin
}

// Origin is where a saga comes from: the coordinator's store, when the saga began there, and the floor below which the store's
// sagas are over and forgotten. Both in unix milliseconds, by the coordinator's clock.
type Origin struct {
	Store        string
	Begun, Floor int64
}

// An error here is answered INTERNAL: a code that reads as a refusal would say that nothing happened.
func callOf(ctx context.Context) (Call, error) {
	given, _ := metadata.FromIncomingContext(ctx)
	missing := ""
	text := func(name string) string {
		values := given.Get(name)
		if len(values) != 1 {
			missing = name
			return ""
		}
		return values[0]
	}
	saga, step, operation := text("amends-saga-id"), text("amends-step"), text("amends-operation")
	key, epochText := text("idempotency-key"), text("amends-epoch")
	if missing != "" {
		return Call{}, fmt.Errorf("metadata %s is missing: this method is a step of a saga and takes calls from the coordinator only", missing)
	}
	epoch, err := strconv.ParseUint(epochText, 10, 64)
	if err != nil {
		return Call{}, fmt.Errorf("metadata amends-epoch is %q; expected a whole number", epochText)
	}
	parts, element := strings.Split(key, "/"), ""
	expected := []string{parts[0], saga, step, operation}
	if len(parts) == 5 {
		element = parts[3]
		expected = []string{parts[0], saga, step, element, operation}
	}
	known := slices.Contains([]Operation{Action, Confirm, Compensate}, Operation(operation))
	if !known || !slices.Equal(parts, expected) || slices.Contains(parts, "") {
		return Call{}, fmt.Errorf("metadata idempotency-key %q contradicts the other metadata", key)
	}
	expects := given.Get("amends-expects")
	if len(expects) > 0 && expects[0] != "succeeded" {
		return Call{}, fmt.Errorf("metadata amends-expects is %q; expected succeeded, or nothing", expects[0])
	}
	return Call{Key{parts[0], saga, step, element}, Operation(operation), epoch, len(expects) > 0, key, originOf(given)}, nil
}

// From `amends-saga-begun: MS` and `amends-floor: MS;store=ID`. What can't be read is as good as absent: never swept.
func originOf(given metadata.MD) *Origin {
	floorText, store, _ := strings.Cut(strings.Join(given.Get("amends-floor"), ""), ";store=")
	begun, errBegun := strconv.ParseInt(strings.Join(given.Get("amends-saga-begun"), ""), 10, 64)
	floor, errFloor := strconv.ParseInt(floorText, 10, 64)
	if errBegun != nil || errFloor != nil || begun < floor || len(store) < 1 || len(store) > 128 {
		return nil
	}
	return &Origin{store, begun, floor}
}
