package barrier

import (
	"database/sql"
	"log"
)

// Sagas that began before the floor are over and forgotten at their coordinator: their rows may go.
const (
	raiseFloor = `INSERT INTO amends_floor (store, floor) VALUES (?1, ?2)
		ON CONFLICT (store) DO UPDATE SET floor = excluded.floor WHERE amends_floor.floor < excluded.floor`
	deleteSteps = `DELETE FROM amends_barrier WHERE (namespace, saga_id) IN
		(SELECT namespace, saga_id FROM amends_saga WHERE store = ?1 AND begun < ?2 ORDER BY begun, namespace, saga_id LIMIT ?3)`
	deleteSagas = `DELETE FROM amends_saga WHERE store = ?1 AND begun < ?2 AND NOT EXISTS
		(SELECT 1 FROM amends_barrier b WHERE b.namespace = amends_saga.namespace AND b.saga_id = amends_saga.saga_id)`

	sweepAtOnce = 200
	sweepEvery  = 60_000 // milliseconds by which the floor has to rise
)

// Removes the rows of sagas below the floor that came with a call, one batch at a time: the next call goes on.
func (b *Barrier) sweep(origin *Origin) {
	if origin == nil {
		return
	}
	swept, _ := b.swept.Load(origin.Store)
	if before, _ := swept.(int64); origin.Floor < before+sweepEvery {
		return
	}
	gone := int64(0)
	_, err := b.transaction(func(tx *sql.Tx) ([]byte, error) {
		if _, err := tx.Exec(raiseFloor, origin.Store, origin.Floor); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(deleteSteps, origin.Store, origin.Floor, sweepAtOnce); err != nil {
			return nil, err
		}
		deleted, err := tx.Exec(deleteSagas, origin.Store, origin.Floor)
		if err == nil {
			gone, err = deleted.RowsAffected()
		}
		return nil, err
	})
	switch {
	case err != nil: // the call is committed already; a later one sweeps
		log.Printf("old rows could not be swept: %v", err)
	case gone < sweepAtOnce:
		b.swept.Store(origin.Store, origin.Floor)
	}
}
