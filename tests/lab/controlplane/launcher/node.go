package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A real node. It is the first process of process, mount and host name spaces of its own, in a root of its own, so that
// everything on it, mounts and containers too, ends when it ends.
type node struct {
	Name, Zone, Address, Pods, Instance string
	Network                             int // a process in the network it stands in
	Folder, Binaries                    string
	Tainted                             bool
}

func runNode(facts string) error {
	var n node
	if err := json.Unmarshal([]byte(facts), &n); err != nil {
		return err
	}
	if err := n.enter(); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	containerd, err := n.child("/usr/bin/containerd", "--config", "/etc/containerd/config.toml")
	if err != nil {
		return err
	}
	if err := n.images(); err != nil {
		return err
	}
	kubelet, err := n.child("/opt/lab/kubelet", n.kubeletFlags()...)
	if err != nil {
		return err
	}
	// Orphans of the whole node are ours to bury.
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == containerd || pid == kubelet {
			return fmt.Errorf("%s: containerd (%d) or kubelet (%d) ended: %d %v", n.Name, containerd, kubelet, pid, err)
		}
	}
}

func (n *node) child(program string, arguments ...string) (int, error) {
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return 0, err
	}
	return command.Process.Pid, nil
}

// Goes into the network, builds the root and moves into it.
func (n *node) enter() error {
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", n.Network))
	if err != nil {
		return err
	}
	// The main thread's, which starts everything.
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	network.Close()
	if err := unix.Sethostname([]byte(n.Name)); err != nil {
		return err
	}
	// First of all: no mount of ours may be seen outside, least of all by who clears up.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	root := filepath.Join(n.Folder, n.Name)
	// A machine that starts anew remembers nothing of what ran.
	if err := os.RemoveAll(filepath.Join(root, "run")); err != nil {
		return err
	}
	for _, folder := range []string{
		"usr", "proc", "sys", "dev", "run", "tmp", "root", "opt/lab", "var/lib", "var/log",
		"etc/containerd", "etc/cni/net.d", "etc/kubernetes",
	} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding the root: %w", err)
	}
	if err := n.mounts(root); err != nil {
		return err
	}
	if err := n.files(root); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// Among the node's own mounts what a volume shows must go on to its containers.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

func (n *node) mounts(root string) error {
	in := func(path string) string { return filepath.Join(root, path) }
	for _, bound := range [][2]string{{"/usr", "usr"}, {n.Binaries, "opt/lab"}} {
		if err := unix.Mount(bound[0], in(bound[1]), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding %s: %w", bound[0], err)
		}
		if err := unix.Mount("", in(bound[1]), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("binding %s: %w", bound[0], err)
		}
	}
	for _, bound := range []string{"sys", "dev"} {
		if err := unix.Mount("/"+bound, in(bound), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("binding %s: %w", bound, err)
		}
	}
	if err := unix.Mount("proc", in("proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting proc: %w", err)
	}
	// The kernel settings that a kubelet insists on are the whole machine's: it is shown what it wants to see.
	for setting, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		shown := in("etc/kubernetes/" + filepath.Base(setting))
		if err := os.WriteFile(shown, []byte(value+"\n"), 0o444); err != nil {
			return err
		}
		if err := unix.Mount(shown, in("proc/sys/"+setting), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("showing %s: %w", setting, err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		target, err := os.Readlink("/" + name)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			if err := os.Symlink(target, in(name)); err != nil && !os.IsExist(err) {
				return err
			}
			continue
		}
		if err := os.MkdirAll(in(name), 0o755); err != nil {
			return err
		}
		if err := unix.Mount("/"+name, in(name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding %s: %w", name, err)
		}
	}
	return nil
}

func (n *node) files(root string) error {
	kubeconfig, err := os.ReadFile(filepath.Join(n.Folder, "admin.kubeconfig"))
	if err != nil {
		return err
	}
	machine := make([]byte, 16)
	if _, err := rand.Read(machine); err != nil {
		return err
	}
	files := map[string]string{
		"etc/machine-id":              fmt.Sprintf("%x\n", machine),
		"etc/passwd":                  "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":                   "root:x:0:\n",
		"etc/hosts":                   "127.0.0.1 localhost\n",
		"etc/resolv.conf":             "nameserver 127.0.0.1\n",
		"etc/os-release":              "NAME=lab\nID=lab\nPRETTY_NAME=\"a node of the lab\"\n",
		"etc/containerd/config.toml":  containerdConfig,
		"etc/cni/net.d/lab.conflist":  fmt.Sprintf(networkConfig, n.Pods),
		"etc/kubernetes/kubelet.yaml": fmt.Sprintf(kubeletConfig, n.Address),
		"etc/kubernetes/kubeconfig":   string(kubeconfig),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// Hands containerd the image once it listens.
func (n *node) images() error {
	deadline := time.Now().Add(patience)
	for {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			connection.Close()
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: containerd does not listen: %w", n.Name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := writeImage("/tmp/image.tar"); err != nil {
		return err
	}
	said, err := exec.Command("/usr/bin/ctr", "--address", socket, "--namespace", "k8s.io",
		"image", "import", "--snapshotter", "native", "/tmp/image.tar").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: importing the image: %w: %s", n.Name, err, said)
	}
	return nil
}

func (n *node) kubeletFlags() []string {
	labels := []string{
		"topology.kubernetes.io/zone=" + n.Zone,
		"topology.kubernetes.io/region=" + region(n.Zone),
		"node.kubernetes.io/instance-type=t3.small",
	}
	flags := []string{
		"--config", "/etc/kubernetes/kubelet.yaml", "--kubeconfig", "/etc/kubernetes/kubeconfig",
		"--hostname-override", n.Name, "--node-ip", n.Address, "--node-labels", strings.Join(labels, ","),
		"--provider-id", fmt.Sprintf("aws:///%s/%s", n.Zone, n.Instance),
	}
	if n.Tainted {
		flags = append(flags, "--register-with-taints", realTaint)
	}
	return flags
}

const (
	socket = "/run/containerd/containerd.sock"
	// Beside simulated nodes a real one takes only pods that say they are meant for it.
	realTaint = "lab.example/real=true:NoSchedule"
)

// restrict_oom_score_adj: a machine that may not lower scores (a container, a sandbox) starts no pod otherwise. The
// native snapshotter copies two megabytes a container and needs no overlay, which a root that is one lacks.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "lab.example/busybox:1"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"
`

const networkConfig = `{
  "cniVersion": "0.4.0",
  "name": "lab",
  "plugins": [{
    "type": "ptp",
    "ipam": {
      "type": "host-local",
      "dataDir": "/run/cni",
      "ranges": [[{"subnet": "%s"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// Nothing is evicted for what the machine's disk or memory looks like: that is the developer's, not the node's.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
port: 10250
healthzPort: 0
readOnlyPort: 0
authentication:
  anonymous: { enabled: true }
  webhook: { enabled: false }
authorization: { mode: AlwaysAllow }
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
resolvConf: /etc/resolv.conf
clusterDNS: [127.0.0.1]
clusterDomain: cluster.local
nodeLeaseDurationSeconds: 12
nodeStatusUpdateFrequency: 4s
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: "0%%"
  nodefs.available: "0%%"
  nodefs.inodesFree: "0%%"
  imagefs.available: "0%%"
`
