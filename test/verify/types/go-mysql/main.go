// Reads binlog files with go-mysql and prints each rows event of one database as a line of JSON:
//
//	{"table":"t1","op":"update","rows":[[before],[after],…]}
//
// A cell is null or text with a letter in front that says how go-mysql gave it: i and its digits, f and
// a number that reads back as the same double, x and bytes in hexadecimal.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
)

type line struct {
	Table string      `json:"table"`
	Op    string      `json:"op"`
	Rows  [][]*string `json:"rows"`
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "Usage: rows mysql|mariadb DATABASE FILE…")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(flavor string, database string, files []string) error {
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	show := func(event *replication.BinlogEvent) error {
		rows, isRows := event.Event.(*replication.RowsEvent)
		if !isRows || string(rows.Table.Schema) != database {
			return nil
		}
		shown := line{Table: string(rows.Table.Table), Op: rows.Type().String()}
		for _, row := range rows.Rows {
			cells, err := cellsOf(row)
			if err != nil {
				return err
			}
			shown.Rows = append(shown.Rows, cells)
		}
		return encoder.Encode(shown)
	}
	for _, file := range files {
		parser := replication.NewBinlogParser()
		parser.SetFlavor(flavor)
		parser.SetVerifyChecksum(true)
		parser.SetTimestampStringLocation(time.UTC)
		parser.SetUseFloatWithTrailingZero(true)
		if err := parser.ParseFile(file, 4, show); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return out.Flush()
}

func cellsOf(row []interface{}) ([]*string, error) {
	cells := make([]*string, len(row))
	for i, value := range row {
		if value == nil {
			continue
		}
		text, err := cell(value)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
		cells[i] = &text
	}
	return cells, nil
}

func cell(value interface{}) (string, error) {
	switch value := value.(type) {
	case int, int8, int16, int32, int64:
		return fmt.Sprintf("i%d", value), nil
	case float32:
		return "f" + strconv.FormatFloat(float64(value), 'g', -1, 64), nil
	case float64:
		return "f" + strconv.FormatFloat(value, 'g', -1, 64), nil
	case string:
		return "x" + hex.EncodeToString([]byte(value)), nil
	case []byte:
		return "x" + hex.EncodeToString(value), nil
	default:
		return "", fmt.Errorf("a value of the type %T was not expected", value)
	}
}
