package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Far more than a server needs, on a busy machine too.
const patience = 3 * time.Minute

// One server of the cluster. It dies with us, whatever we die of.
type process struct {
	name    string
	command func() *exec.Cmd // anew for each start
	ready   func() error     // nil once it serves
	silent  string           // which of its children falls silent by `pause`; itself when empty
	log     string
	held    *os.File // the janitor's pipe, see janitor.go

	running *exec.Cmd
	dead    chan struct{} // closed when the running one has ended
	killed  atomic.Bool   // by us
}

func (p *process) start() error {
	if p.alive() {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := p.command()
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{p.held}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	dead := make(chan struct{})
	p.running, p.dead = command, dead
	p.killed.Store(false)
	go func() {
		_ = command.Wait()
		if !p.killed.Load() {
			fmt.Fprintf(os.Stderr, "%s ended by itself (%s); the last of its log:\n%s\n", p.name, command.ProcessState, tail(p.log))
		}
		close(dead)
	}()
	return nil
}

func (p *process) alive() bool {
	if p.running == nil {
		return false
	}
	select {
	case <-p.dead:
		return false
	default:
		return true
	}
}

// Waits until it serves. Gives up when it ends, when the patience does, or when the cluster is to end.
func (p *process) wait(end <-chan struct{}) error {
	deadline := time.After(patience)
	for {
		err := p.ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.dead:
			return fmt.Errorf("%s ended at its start", p.name)
		case <-deadline:
			return fmt.Errorf("%s is not ready after %s (%w); the last of its log:\n%s", p.name, patience, err, tail(p.log))
		case <-end:
			return errors.New("the cluster is to end")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *process) signal(signal syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("%s does not run", p.name)
	}
	return p.running.Process.Signal(signal)
}

// Stops it, or lets it go on.
func (p *process) pause(signal syscall.Signal) error {
	if p.silent == "" || !p.alive() {
		return p.signal(signal)
	}
	for _, child := range children(p.running.Process.Pid, p.silent) {
		if err := syscall.Kill(child, signal); err != nil {
			return err
		}
	}
	return nil
}

// There is nothing to save: SIGKILL.
func (p *process) kill() error {
	p.killed.Store(true)
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.dead
	return nil
}

func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return fmt.Sprintf("%s: %s", filepath.Base(path), bytes.Join(lines, []byte("\n")))
}
