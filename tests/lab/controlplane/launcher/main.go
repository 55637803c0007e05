// A Kubernetes cluster for tests, on loopback, for as long as its starter lives: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, simulated nodes and real ones.
//
// Its first line on stdout is the cluster as JSON, or {"cannot": why} and exit code 3 where the machine cannot do it.
// Then it takes commands on stdin, one a line, and answers each with one line of JSON. It ends when stdin closes, when
// its parent dies or on a signal, and leaves nothing behind, not even when it is killed: tests/lab/README.md says how.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func init() {
	// A child's PDEATHSIG fires when the thread that started it ends: all are started by the main thread, which lasts.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "janitor":
			janitor(os.Args[2])
			return
		case "network":
			fatal(network(os.Args[2], os.Args[3], os.Args[4]))
		case "node":
			fatal(runNode(os.Args[2]))
		}
	}
	var wish wish
	flag.IntVar(&wish.simulated, "nodes", 0, "`how many` simulated nodes (kwok), spread over the zones")
	zones := flag.String("zones", "us-east-1a,us-east-1b,us-east-1c", "the zones, as the label topology.kubernetes.io/zone")
	flag.IntVar(&wish.reals, "real-nodes", 0, "`how many` real nodes (kubelet, containerd), spread over the zones")
	flag.Parse()
	wish.zones = strings.FieldsFunc(*zones, func(r rune) bool { return r == ',' })
	if flag.NArg() > 0 || len(wish.zones) == 0 || wish.simulated < 0 || wish.reals < 0 || wish.reals > 200 {
		flag.Usage()
		os.Exit(64)
	}
	if wish.reals > 0 {
		if err := possible(); err != nil {
			say(map[string]string{"cannot": err.Error()})
			os.Exit(3)
		}
	}

	end := make(chan struct{})
	go endWithParentOrSignal(os.Getppid(), end)
	lines := make(chan string)
	go read(lines)

	cluster, err := start(wish, end)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if cluster != nil {
			cluster.close()
		}
		os.Exit(1)
	}
	say(cluster.facts())
	for {
		select {
		case line, more := <-lines:
			if !more {
				cluster.close()
				return
			}
			if err := cluster.obey(strings.Fields(line)); err != nil {
				say(map[string]string{"failed": err.Error()})
			} else {
				say(map[string]string{"done": line})
			}
		case <-end:
			cluster.close()
			return
		}
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", line)
}

func read(lines chan<- string) {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if line := strings.TrimSpace(in.Text()); line != "" {
			lines <- line
		}
	}
	close(lines)
}

// Closes the channel when it is time to end.
func endWithParentOrSignal(parent int, end chan<- struct{}) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer close(end)
	for os.Getppid() == parent {
		select {
		case <-signals:
			return
		case <-time.After(time.Second):
		}
	}
}
