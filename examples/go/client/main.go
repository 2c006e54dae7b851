// Starts a saga and follows it to its end: grpc-go and the coordinator's proto files, nothing else.
//
//	go run ./client gift --id gift-1 --input '{"order_id":"o-1","customer":"ada","points":25,"paper":"stars"}'
//
// Exit code 0: completed; 1: compensated or force-stopped; 2: stuck, or still open when the time was over.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"example.com/gift/gen/amendsv1"
)

func main() {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	id := flags.String("id", "", "your own id, such as an order number: the same id never starts twice")
	input := flags.String("input", "{}", "JSON")
	address := flags.String("address", "127.0.0.1:7400", "where the coordinator answers gRPC")
	wait := flags.Duration("wait", time.Minute, "how long to follow it")
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		log.Fatal("usage: client DEFINITION [--id ID] [--input JSON] [--address HOST:PORT] [--wait TIME]")
	}
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *wait)
	defer cancel()
	saga, err := run(ctx, *address, os.Args[1], *id, *input)
	if err != nil {
		log.Fatal(err)
	}
	report(saga)
	switch saga.Status {
	case amendsv1.SagaStatus_SAGA_STATUS_COMPLETED:
	case amendsv1.SagaStatus_SAGA_STATUS_COMPENSATED, amendsv1.SagaStatus_SAGA_STATUS_FORCE_STOPPED:
		os.Exit(1)
	default:
		os.Exit(2)
	}
}

func run(ctx context.Context, address, definition, id, input string) (*amendsv1.Saga, error) {
	if !json.Valid([]byte(input)) {
		return nil, fmt.Errorf("the input is not JSON: %s", input)
	}
	connection, err := grpc.NewClient(strings.TrimPrefix(address, "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second}))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	sagas := amendsv1.NewSagasClient(connection)

	request := &amendsv1.StartSagaRequest{
		SagaId:     id,
		Definition: definition,
		// JSON bytes, so that 64-bit integers stay exact.
		Input: &amendsv1.Payload{Encoding: amendsv1.Payload_ENCODING_JSON, Data: []byte(input)},
	}
	if id == "" {
		// Made once: every repeat of this request finds the same saga.
		request.RequestId = rand.Text()
	}
	var saga *amendsv1.Saga
	err = repeatedly(ctx, func() (err error) {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		saga, err = sagas.Start(attempt, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	fmt.Printf("%s: accepted\n", saga.Id)
	return follow(ctx, sagas, saga)
}

// Shows what happens until the saga has ended or is stuck, over lost connections.
func follow(ctx context.Context, sagas amendsv1.SagasClient, saga *amendsv1.Saga) (*amendsv1.Saga, error) {
	seen := uint64(0)
	err := repeatedly(ctx, func() error {
		request := &amendsv1.WatchSagaRequest{SagaId: saga.Id, AfterSequence: seen}
		stream, err := sagas.Watch(ctx, request)
		if err != nil {
			return err
		}
		for {
			message, err := stream.Recv()
			if err != nil {
				return err
			}
			for _, entry := range message.Entries {
				seen = entry.Sequence
				kind := words(entry.Kind.String(), "HISTORY_KIND_")
				fmt.Printf("%s: %s\n", saga.Id, joined(kind, entry.Step, entry.Code, entry.Message))
			}
			saga = message.Saga
			if saga.EndTime != nil || saga.Status == amendsv1.SagaStatus_SAGA_STATUS_STUCK {
				return nil
			}
		}
	})
	if ctx.Err() != nil {
		fmt.Printf("%s: the time is over; it runs on\n", saga.Id)
		return saga, nil
	}
	return saga, err
}

// Calls until there is an answer or the time is over.
func repeatedly(ctx context.Context, call func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := call()
		switch status.Code(err) {
		case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

func report(saga *amendsv1.Saga) {
	fmt.Printf("%s: %s\n", saga.Id, words(saga.Status.String(), "SAGA_STATUS_"))
	for _, step := range saga.Steps {
		for _, operation := range step.Operations {
			if operation.Operation == amendsv1.Operation_OPERATION_ACTION && operation.Output != nil {
				fmt.Printf("  %s: %s\n", step.Name, operation.Output.Data)
			}
		}
	}
	if why := saga.Decision; why != nil {
		fmt.Printf("  because of %s\n", joined(words(why.Cause.String(), "DECISION_CAUSE_"), why.Step, why.Code, why.Message))
	}
	for _, stuck := range saga.Stuck {
		fmt.Printf("  %s\n", joined(words(stuck.Reason.String(), "STUCK_REASON_"), stuck.Step, stuck.Message))
	}
}

func words(name, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", " ")
}

func joined(parts ...string) string {
	filled := parts[:0]
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, " ")
}
