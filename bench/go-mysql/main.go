// Reads the binlog of a server with go-mysql, as its replica, and writes each row change as a line of JSON:
//
//	{"op":"u","table":"orders","before":{…},"after":{…}}
//
// It ends when it has written so many rows.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

type change struct {
	Op     string                 `json:"op"`
	Table  string                 `json:"table"`
	Before map[string]interface{} `json:"before"`
	After  map[string]interface{} `json:"after"`
}

func main() {
	if len(os.Args) != 8 {
		fmt.Fprintln(os.Stderr, "Usage: lines HOST PORT USER BINLOG DATABASE ROWS FILE; the password in MYSQL_PWD")
		os.Exit(64)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	port, portFault := strconv.ParseUint(args[1], 10, 16)
	left, rowsFault := strconv.Atoi(args[5])
	if err := errors.Join(portFault, rowsFault); err != nil {
		return err
	}
	file, err := os.Create(args[6])
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 77002,
		Flavor:   "mysql",
		Host:     args[0],
		Port:     uint16(port),
		User:     args[2],
		Password: os.Getenv("MYSQL_PWD"),
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	defer syncer.Close()
	streamer, err := syncer.StartSync(mysql.Position{Name: args[3], Pos: 4})
	if err != nil {
		return err
	}
	for left > 0 {
		event, err := streamer.GetEvent(context.Background())
		if err != nil {
			return err
		}
		rows, isRows := event.Event.(*replication.RowsEvent)
		if !isRows || string(rows.Table.Schema) != args[4] {
			continue
		}
		changes := changesOf(rows)
		for _, one := range changes {
			if err := encoder.Encode(one); err != nil {
				return err
			}
		}
		left -= len(changes)
	}
	return out.Flush()
}

func changesOf(rows *replication.RowsEvent) []change {
	table := string(rows.Table.Table)
	names := rows.Table.ColumnNameString()
	var changes []change
	switch rows.Type() {
	case replication.EnumRowsEventTypeInsert:
		for _, row := range rows.Rows {
			changes = append(changes, change{Op: "c", Table: table, After: named(names, row)})
		}
	case replication.EnumRowsEventTypeDelete:
		for _, row := range rows.Rows {
			changes = append(changes, change{Op: "d", Table: table, Before: named(names, row)})
		}
	default:
		for i := 0; i+1 < len(rows.Rows); i += 2 {
			before, after := named(names, rows.Rows[i]), named(names, rows.Rows[i+1])
			changes = append(changes, change{Op: "u", Table: table, Before: before, After: after})
		}
	}
	return changes
}

func named(names []string, row []interface{}) map[string]interface{} {
	values := make(map[string]interface{}, len(row))
	for i, value := range row {
		// A JSON column comes as its text in bytes, which would become base64.
		if text, isBytes := value.([]byte); isBytes {
			value = json.RawMessage(text)
		}
		values[names[i]] = value
	}
	return values
}
