package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// What was asked for on the command line.
type wish struct {
	simulated int
	reals     int
	zones     []string
}

// A running cluster and everything it is made of.
type cluster struct {
	wish
	folder    string
	binaries  string // the folder with the servers, beside our own binary
	token     string
	etcdPort  int
	etcdPeer  int
	port      int
	processes []*process
	janitor   *exec.Cmd
	held      *os.File
	end       <-chan struct{}
}

func start(wish wish, end <-chan struct{}) (*cluster, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "evenkeel-lab-")
	if err != nil {
		return nil, err
	}
	c := &cluster{wish: wish, folder: folder, binaries: filepath.Dir(program), end: end}
	if c.janitor, c.held, err = startJanitor(folder); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return c, err
	}
	c.etcdPort, c.etcdPeer, c.port = ports[0], ports[1], ports[2]
	if err := c.write(); err != nil {
		return c, err
	}
	c.store()
	if err := c.bring(c.processes); err != nil {
		return c, err
	}
	// The server has made its certificate.
	if err := c.writeKubeconfig(); err != nil {
		return c, err
	}
	c.controllers()
	if err := c.bring(c.processes[2:]); err != nil {
		return c, err
	}
	if c.simulated > 0 {
		if err := c.register(); err != nil {
			return c, err
		}
		if err := c.bring(c.simulate()); err != nil {
			return c, err
		}
	}
	if c.reals > 0 {
		if err := c.real(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Starts them all at once, for each waits for the ones it needs, and then waits for each.
func (c *cluster) bring(processes []*process) error {
	for _, p := range processes {
		if err := p.start(); err != nil {
			return err
		}
	}
	for _, p := range processes {
		if err := p.wait(c.end); err != nil {
			return err
		}
	}
	return nil
}

// Ends everything and waits until it has ended and its folder is gone.
func (c *cluster) close() {
	for _, p := range c.processes {
		if p.alive() {
			// A stopped process (`pause`) takes SIGKILL too.
			_ = p.kill()
		}
	}
	c.held.Close()
	_ = c.janitor.Wait()
}

func (c *cluster) url() string {
	return fmt.Sprintf("https://127.0.0.1:%d", c.port)
}

func (c *cluster) kubeconfig() string {
	return filepath.Join(c.folder, "admin.kubeconfig")
}

func (c *cluster) authority() string {
	return filepath.Join(c.folder, "certificates", "apiserver.crt")
}

func (c *cluster) facts() map[string]any {
	pids := map[string]int{}
	for _, p := range c.processes {
		pids[p.name] = p.running.Process.Pid
	}
	return map[string]any{
		"server":     c.url(),
		"kubeconfig": c.kubeconfig(),
		"token":      c.token,
		"authority":  c.authority(),
		"kubectl":    filepath.Join(c.binaries, "kubectl"),
		"folder":     c.folder,
		"processes":  pids,
	}
}

// `kill NAME`, `start NAME` (waits until it serves), `pause NAME`, `resume NAME`.
func (c *cluster) obey(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("%q is no command: kill, start, pause or resume, and a name", words)
	}
	for _, p := range c.processes {
		if p.name != words[1] {
			continue
		}
		switch words[0] {
		case "kill":
			return p.kill()
		case "start":
			if err := p.start(); err != nil {
				return err
			}
			if err := p.wait(c.end); err != nil || p.name != "apiserver" {
				return err
			}
			return c.remind()
		case "pause":
			return p.pause(syscall.SIGSTOP)
		case "resume":
			return p.pause(syscall.SIGCONT)
		}
		return fmt.Errorf("%q is none of kill, start, pause, resume", words[0])
	}
	return fmt.Errorf("nothing here is called %q", words[1])
}

// Whoever works for the API server ends when it is gone for ten seconds, because it cannot keep its lease, and is started
// again; here nobody has a lease. Without that they forget: the controller of Deployments drops one after fifteen attempts
// in vain, and kwok waits for twice as long before each, up to half an hour.
func (c *cluster) remind() error {
	var anew []*process
	for _, p := range c.processes {
		works := p.name == "controller-manager" || p.name == "scheduler" || strings.HasPrefix(p.name, "kwok-")
		if works && p.alive() {
			if err := p.kill(); err != nil {
				return err
			}
			anew = append(anew, p)
		}
	}
	return c.bring(anew)
}

// The files the servers read at their start.
func (c *cluster) write() error {
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	c.token = hex.EncodeToString(secret)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	signing := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for name, text := range map[string]string{
		"tokens.csv":   c.token + `,admin,admin,"system:masters"` + "\n",
		"accounts.key": string(signing),
		"egress.yaml":  fmt.Sprintf(egressText, c.folder),
	} {
		if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(c.folder, "log"), 0o700)
}

// How the API server reaches kubelets: through the socket into their network.
const egressText = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: { uds: { udsName: %s/egress.sock } }
`

func (c *cluster) writeKubeconfig() error {
	authority, err := os.ReadFile(c.authority())
	if err != nil {
		return err
	}
	text := fmt.Sprintf(kubeconfigText, c.url(), base64.StdEncoding.EncodeToString(authority), c.token)
	return os.WriteFile(c.kubeconfig(), []byte(text), 0o600)
}

const kubeconfigText = `apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: admin
  user:
    token: %s
contexts:
- name: lab
  context:
    cluster: lab
    user: admin
current-context: lab
`

// Ports below the ephemeral ones: no outgoing connection of anybody takes one while its server is down. Each launcher
// looks in its own corner, so that two that start at once do not find the same.
func freePorts(count int) ([]int, error) {
	var found []int
	for i := range 12000 {
		port := 20000 + (os.Getpid()*8+i)%12000
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		listener.Close()
		if found = append(found, port); len(found) == count {
			return found, nil
		}
	}
	return nil, fmt.Errorf("there are no %d free ports on 127.0.0.1", count)
}
