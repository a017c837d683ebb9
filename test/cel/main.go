// Command cel judges custom resource definitions and objects with the code of a real API server.
//
// Arguments are files with one CustomResourceDefinition each; standard input is a stream of JSON
// objects. The answer on standard output is one JSON document: what is wrong with each definition,
// what its rules cost at most, and for each object what the API server would say about creating it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type answer struct {
	Definitions []definitionVerdict `json:"definitions"`
	Objects     []objectVerdict     `json:"objects"`
}

// problem is one entry of the list that an API server returns.
type problem struct {
	Type   string `json:"type"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(files []string, input io.Reader, output io.Writer) error {
	result := answer{Definitions: []definitionVerdict{}, Objects: []objectVerdict{}}
	kinds := map[string]*kind{}
	for _, file := range files {
		verdict, k, err := loadDefinition(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		result.Definitions = append(result.Definitions, verdict)
		if k != nil {
			kinds[k.name] = k
		}
	}
	decoder := json.NewDecoder(input)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		verdict, err := judge(raw, kinds)
		if err != nil {
			return fmt.Errorf("object %d: %w", len(result.Objects), err)
		}
		result.Objects = append(result.Objects, verdict)
	}
	return json.NewEncoder(output).Encode(result)
}
