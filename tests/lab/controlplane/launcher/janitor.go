package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Starts the one process that outlives us, to clear up after us. The file it gives back is the writing end of a pipe
// that we and everything we start hold open: when the janitor reads its end, all of them are gone.
func startJanitor(folder string) (*exec.Cmd, *os.File, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer read.Close()
	command := exec.Command(program, "janitor", folder)
	command.Stdin = read
	// Whoever reads our stdout to its end has waited for the janitor too.
	command.Stdout = os.Stdout
	// Its own session: what is sent to our process group does not reach it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	return command, write, nil
}

func janitor(folder string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	for range 50 {
		if sweep(folder) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func sweep(folder string) error {
	// Nodes mount in mount spaces of their own, which are gone. Were it not so, removing would reach through.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if strings.Contains(string(mounts), folder) {
		return fmt.Errorf("something is mounted in %s", folder)
	}
	if err := sweepGroups(folder); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

// Control groups are the machine's and outlive what was in them. Containerd names each after its container or sandbox,
// and keeps a folder of the same name.
func sweepGroups(folder string) error {
	ids, err := filepath.Glob(folder + "/real-*/var/lib/containerd/io.containerd.grpc.v1.cri/*/*")
	if err != nil {
		return err
	}
	for _, id := range ids {
		for _, pattern := range []string{"/sys/fs/cgroup/*/k8s.io/", "/sys/fs/cgroup/k8s.io/"} {
			groups, err := filepath.Glob(pattern + filepath.Base(id))
			if err != nil {
				return err
			}
			for _, group := range groups {
				if err := os.Remove(group); err != nil && !os.IsNotExist(err) {
					return err
				}
				// Gone with its last one.
				_ = os.Remove(filepath.Dir(group))
			}
		}
	}
	return nil
}
