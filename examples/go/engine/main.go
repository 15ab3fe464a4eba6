// A minimal engine: engine ROOT ID BUNDLE runs a container on its own streams and ends with its status.
package main

import (
	"errors"
	"fmt"
	"os"

	"example.org/teu/teu"
)

func run(root, id, bundle string) (int, error) {
	context, err := teu.New(root)
	if err != nil {
		return 0, err
	}
	defer context.Close()
	stdio := map[int]*os.File{0: os.Stdin, 1: os.Stdout, 2: os.Stderr}
	container, err := context.Create(id, teu.Options{Bundle: bundle, Stdio: stdio})
	if err != nil {
		return 0, err
	}
	defer container.Close()
	defer container.Delete(true)
	if err := container.Start(); err != nil {
		return 0, err
	}
	exit, err := container.Wait(0)
	return exit.Status, err
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: engine ROOT ID BUNDLE")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[2], os.Args[3])
	var failed *teu.Error
	if errors.As(err, &failed) {
		fmt.Fprintf(os.Stderr, "engine: %s: %s\n", failed.Phase, failed.Message)
		os.Exit(1)
	}
	os.Exit(status)
}
