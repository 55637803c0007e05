package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Adds a server. GOGC: memory before speed, several clusters may run on one machine.
func (c *cluster) add(name string, ready func() error, program string, arguments ...string) {
	c.processes = append(c.processes, &process{
		name: name,
		command: func() *exec.Cmd {
			command := exec.Command(filepath.Join(c.binaries, program), arguments...)
			command.Dir = c.folder
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.folder, "GOGC=50"}
			return command
		},
		ready: ready,
		log:   filepath.Join(c.folder, "log", name+".log"),
		held:  c.held,
	})
}

func (c *cluster) in(name string) string {
	return filepath.Join(c.folder, name)
}

// Etcd and the API server.
func (c *cluster) store() {
	etcd := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPeer)

	c.add("etcd", func() error { return healthy(etcd + "/health") }, "etcd",
		"--data-dir", c.in("etcd"), "--name", "lab", "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "lab="+peer)

	apiserver := []string{
		"--etcd-servers", etcd,
		"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(c.port), "--cert-dir", c.in("certificates"),
		// Loopback is no address for endpoints, and nothing looks for any.
		"--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none",
		"--token-auth-file", c.in("tokens.csv"), "--authorization-mode", "RBAC", "--allow-privileged",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", c.in("accounts.key"), "--service-account-signing-key-file", c.in("accounts.key"),
		"--service-cluster-ip-range", "10.96.0.0/16", "--profiling=false",
	}
	if c.reals > 0 {
		apiserver = append(apiserver,
			"--egress-selector-config-file", c.in("egress.yaml"), "--kubelet-preferred-address-types", "InternalIP")
	}
	c.add("apiserver", func() error { _, err := c.get("/readyz"); return err }, "kube-apiserver", apiserver...)
}

// The two that make objects come true.
func (c *cluster) controllers() {
	common := []string{
		"--kubeconfig", c.kubeconfig(), "--secure-port", "0", "--leader-elect=false", "--profiling=false",
		// Their own limits, of 20 and 50 calls a second, would make hundreds of nodes take minutes.
		"--kube-api-qps", "1000", "--kube-api-burst", "2000",
	}
	c.add("controller-manager", c.account, "kube-controller-manager", append([]string{
		"--service-account-private-key-file", c.in("accounts.key"), "--root-ca-file", c.authority(),
		// A node that falls silent is Unknown after these sixteen seconds.
		"--node-monitor-grace-period", "16s", "--node-monitor-period", "1s",
	}, common...)...)
	c.add("scheduler", func() error { return nil }, "kube-scheduler", common...)
}

// The controller manager works: it has made the account that every pod needs.
func (c *cluster) account() error {
	_, err := c.get("/api/v1/namespaces/default/serviceaccounts/default")
	return err
}

func healthy(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return check(answer)
}

func (c *cluster) get(path string) ([]byte, error) {
	return c.call(http.MethodGet, path, nil)
}

// One request as the admin.
func (c *cluster) call(method, path string, object any) ([]byte, error) {
	text, err := os.ReadFile(c.authority())
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s is no certificate yet", c.authority())
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}, DisableKeepAlives: true}
	client := http.Client{Timeout: 10 * time.Second, Transport: transport}
	body, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, c.url()+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := check(answer); err != nil {
		return nil, err
	}
	return io.ReadAll(answer.Body)
}

func check(answer *http.Response) error {
	if answer.StatusCode < 300 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
	return fmt.Errorf("%s: %s", answer.Status, text)
}
