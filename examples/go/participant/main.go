// Gift wrapping as steps of sagas: grpc-go and its reflection, one SQLite database, none of Amends' code.
//
//	go run ./participant --port 7505 --database giftwrap.db
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	_ "modernc.org/sqlite"

	"example.com/gift/barrier"
	pb "example.com/gift/gen/giftwrapv1"
)

// Every change is a row of its own, so that anybody can check that nothing happened twice.
const schema = `
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, saga_id TEXT NOT NULL, order_id TEXT NOT NULL, paper TEXT NOT NULL, sheets INTEGER NOT NULL
) STRICT;
`
const entry = "INSERT INTO entries (saga_id, order_id, paper, sheets) VALUES (?, ?, ?, ?)"

var priceMinor = map[string]int64{"plain": 100, "stars": 250}

type server struct {
	pb.UnimplementedGiftWrapServer
	barrier *barrier.Barrier
}

func (s *server) Wrap(ctx context.Context, request *pb.WrapRequest) (*pb.WrapReply, error) {
	return barrier.Handle(ctx, s.barrier, request, wrap)
}

func (s *server) Unwrap(ctx context.Context, request *pb.UnwrapRequest) (*pb.UnwrapReply, error) {
	return barrier.Handle(ctx, s.barrier, request, unwrap)
}

func wrap(tx *sql.Tx, call barrier.Call, request *pb.WrapRequest) (*pb.WrapReply, error) {
	price, known := priceMinor[request.Paper]
	if !known {
		return nil, &barrier.Rejected{Reason: "NO_SUCH_PAPER", Message: fmt.Sprintf("there is no paper %q", request.Paper)}
	}
	if _, err := tx.Exec(entry, call.Key.SagaID, request.OrderId, request.Paper, 1); err != nil {
		return nil, err
	}
	return &pb.WrapReply{PriceMinor: price}, nil
}

// Runs only if this saga's wrapping stands, and only once: the barrier sees to it.
func unwrap(tx *sql.Tx, call barrier.Call, request *pb.UnwrapRequest) (*pb.UnwrapReply, error) {
	var paper string
	wrapped := "SELECT paper FROM entries WHERE saga_id = ? AND order_id = ? AND sheets > 0"
	if err := tx.QueryRow(wrapped, call.Key.SagaID, request.OrderId).Scan(&paper); err != nil {
		return nil, err
	}
	_, err := tx.Exec(entry, call.Key.SagaID, request.OrderId, paper, -1)
	return &pb.UnwrapReply{}, err
}

func main() {
	port := flag.Int("port", 7505, "where to listen, on loopback")
	database := flag.String("database", "giftwrap.db", "the SQLite file")
	flag.Parse()
	if err := serve(*port, *database); err != nil {
		log.Fatal(err)
	}
}

func serve(port int, database string) error {
	wrapping, err := barrier.Open(database, pb.GiftWrap_ServiceDesc.ServiceName, schema)
	if err != nil {
		return fmt.Errorf("%s can't be opened: %w", database, err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return errors.Join(err, wrapping.Close())
	}
	grpcServer := grpc.NewServer()
	pb.RegisterGiftWrapServer(grpcServer, &server{barrier: wrapping})
	// Reflection is all that Amends needs to know of this service.
	reflection.Register(grpcServer)
	stopped, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(stopped, grpcServer.GracefulStop)
	fmt.Printf("listening on %s\n", listener.Addr())
	return errors.Join(grpcServer.Serve(listener), wrapping.Close())
}
