package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Programs that a real node is made of, and the Debian package of each.
var programs = map[string]string{
	"/usr/bin/containerd":                "containerd",
	"/usr/bin/containerd-shim-runc-v2":   "containerd",
	"/usr/bin/ctr":                       "containerd",
	"/usr/sbin/runc":                     "runc",
	filepath.Join(plugins, "loopback"):   "containernetworking-plugins",
	filepath.Join(plugins, "ptp"):        "containernetworking-plugins",
	filepath.Join(plugins, "host-local"): "containernetworking-plugins",
	busybox:                              "busybox-static",
}

const (
	plugins = "/usr/lib/cni"
	busybox = "/bin/busybox"
)

// Why there can be no real nodes on this machine; nil when there can.
func possible() error {
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root")
	}
	for path, from := range programs {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("real nodes need %s (Debian: apt-get install containerd runc containernetworking-plugins busybox-static)", from)
		}
	}
	if _, err := applets(); err != nil {
		return err
	}
	if mounts, _ := filepath.Glob("/sys/fs/cgroup/*"); len(mounts) == 0 {
		return errors.New("real nodes need cgroups, and nothing is mounted on /sys/fs/cgroup")
	}
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation | syscall.CLONE_NEWNET}
	if err := probe.Run(); err != nil {
		return fmt.Errorf("real nodes need mount, process and network namespaces: %w", err)
	}
	return nil
}

// What a node has for itself. All real nodes share one network.
const isolation = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

func realName(i int) string    { return fmt.Sprintf("real-%d", i+1) }
func realAddress(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }
func realPods(i int) string    { return fmt.Sprintf("10.77.%d.0/24", i+1) }

// The real nodes and the network they stand in.
func (c *cluster) real() error {
	listener, err := net.Listen("unix", filepath.Join(c.folder, "api.sock"))
	if err != nil {
		return err
	}
	go relay(listener, func() (net.Conn, error) { return net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port)) })

	program, err := os.Executable()
	if err != nil {
		return err
	}
	c.processes = append(c.processes, &process{
		name: "network",
		command: func() *exec.Cmd {
			command := exec.Command(program, "network", c.folder, strconv.Itoa(c.port), strconv.Itoa(c.reals))
			command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
			return command
		},
		ready: func() error { _, err := os.Stat(filepath.Join(c.folder, "egress.sock")); return err },
		log:   filepath.Join(c.folder, "log", "network.log"),
		held:  c.held,
	})
	network := c.processes[len(c.processes)-1]
	if err := c.bring([]*process{network}); err != nil {
		return err
	}
	for i := range c.reals {
		name, zone := realName(i), c.zones[i%len(c.zones)]
		var started time.Time
		c.processes = append(c.processes, &process{
			name: name,
			command: func() *exec.Cmd {
				started = time.Now()
				facts, err := json.Marshal(node{
					Name: name, Zone: zone, Address: realAddress(i), Pods: realPods(i), Instance: fmt.Sprintf("i-%017x", 0x1000+i),
					Network: network.running.Process.Pid, Folder: c.folder, Binaries: c.binaries,
					Tainted: c.simulated > 0,
				})
				if err != nil {
					panic(err)
				}
				command := exec.Command(program, "node", string(facts))
				command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOGC=50"}
				command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation}
				return command
			},
			ready:  func() error { return c.nodeReady(name, started) },
			silent: "kubelet",
			log:    filepath.Join(c.folder, "log", name+".log"),
			held:   c.held,
		})
	}
	return c.bring(c.processes[len(c.processes)-c.reals:])
}

// The network of the real nodes, as a process: loopback with the nodes' addresses, and the two relays.
func network(folder, port, reals string) error {
	count, err := strconv.Atoi(reals)
	if err != nil {
		return err
	}
	if err := loopback(count); err != nil {
		return err
	}
	api, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	go relay(api, func() (net.Conn, error) { return net.Dial("unix", filepath.Join(folder, "api.sock")) })
	egress, err := net.Listen("unix", filepath.Join(folder, "egress.sock"))
	if err != nil {
		return err
	}
	relayConnect(egress)
	return nil
}

// Raises loopback and gives it the nodes' addresses (a kubelet refuses 127.…).
func loopback(count int) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	for i := range count {
		name := fmt.Sprintf("lo:%d", i+1)
		if err := setAddress(socket, unix.SIOCSIFADDR, name, net.ParseIP(realAddress(i))); err != nil {
			return err
		}
		if err := setAddress(socket, unix.SIOCSIFNETMASK, name, net.IPv4bcast); err != nil {
			return err
		}
	}
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

func setAddress(socket int, what uint, name string, address net.IP) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := request.SetInet4Addr(address.To4()); err != nil {
		return err
	}
	return unix.IoctlIfreq(socket, what, request)
}

// The node's kubelet has renewed its lease since then and says Ready.
func (c *cluster) nodeReady(name string, since time.Time) error {
	var lease struct{ Spec struct{ RenewTime time.Time } }
	text, err := c.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &lease); err != nil {
		return err
	}
	if lease.Spec.RenewTime.Before(since) {
		return fmt.Errorf("%s has not renewed its lease since %s", name, lease.Spec.RenewTime)
	}
	nodes, err := c.readyNodes()
	if err != nil {
		return err
	}
	if !nodes[name] {
		return fmt.Errorf("%s is not ready", name)
	}
	return nil
}

// The children of a process with this name.
func children(parent int, name string) []int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	var found []int
	for _, word := range strings.Fields(string(text)) {
		called, _ := os.ReadFile("/proc/" + word + "/comm")
		if pid, err := strconv.Atoi(word); err == nil && strings.TrimSpace(string(called)) == name {
			found = append(found, pid)
		}
	}
	return found
}
