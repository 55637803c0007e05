package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Real nodes live in a network of their own. Two sockets in the cluster's folder lead in and out of it: one to the API
// server, one by which the API server reaches kubelets (its own "egress selector": HTTP CONNECT).

// Carries each connection to the listener on to what dial gives.
func relay(listener net.Listener, dial func() (net.Conn, error)) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			far, err := dial()
			if err != nil {
				near.Close()
				return
			}
			join(near, near, far)
		}()
	}
}

// Answers CONNECT: each connection says where it wants to go.
func relayConnect(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			reader := bufio.NewReader(near)
			request, err := http.ReadRequest(reader)
			if err != nil || request.Method != http.MethodConnect {
				near.Close()
				return
			}
			far, err := net.Dial("tcp", request.Host)
			if err != nil {
				fmt.Fprintf(near, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
				near.Close()
				return
			}
			fmt.Fprintf(near, "HTTP/1.1 200 OK\r\n\r\n")
			join(near, reader, far)
		}()
	}
}

// Both directions, until either side is done.
func join(near net.Conn, reader io.Reader, far net.Conn) {
	defer near.Close()
	defer far.Close()
	done := make(chan struct{}, 2)
	carry := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	go carry(far, reader)
	go carry(near, far)
	<-done
}
