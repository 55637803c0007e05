package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
)

// Who keeps the simulated nodes and their pods running: kwok, one for each zone, so that a zone can fall silent.
func (c *cluster) simulate() []*process {
	first := len(c.processes)
	for i, zone := range c.zones {
		if i >= c.simulated {
			break
		}
		c.add("kwok-"+zone, c.nodesReady, "kwok",
			"--kubeconfig", c.kubeconfig(), "--config", filepath.Join(c.binaries, "stages.yaml"),
			"--manage-all-nodes=false",
			"--manage-nodes-with-label-selector", simulatedLabel+"=true,topology.kubernetes.io/zone="+zone,
			"--node-lease-duration-seconds", "12")
	}
	return c.processes[first:]
}

const simulatedLabel = "lab.example/simulated"

// The nodes themselves, in turn in each zone, as a cloud would have registered them.
func (c *cluster) register() error {
	for i := range c.simulated {
		name, zone := fmt.Sprintf("node-%d", i+1), c.zones[i%len(c.zones)]
		room := map[string]string{"cpu": "4", "memory": "16Gi", "pods": "110"}
		node := map[string]any{
			"apiVersion": "v1",
			"kind":       "Node",
			"metadata": map[string]any{
				"name": name,
				"labels": map[string]string{
					simulatedLabel:                     "true",
					"kubernetes.io/hostname":           name,
					"kubernetes.io/arch":               "amd64",
					"kubernetes.io/os":                 "linux",
					"node.kubernetes.io/instance-type": "t3.xlarge",
					"topology.kubernetes.io/region":    region(zone),
					"topology.kubernetes.io/zone":      zone,
				},
			},
			"spec":   map[string]any{"providerID": fmt.Sprintf("aws:///%s/i-%017x", zone, i+1)},
			"status": map[string]any{"allocatable": room, "capacity": room},
		}
		if _, err := c.call(http.MethodPost, "/api/v1/nodes", node); err != nil {
			return fmt.Errorf("node %s: %w", name, err)
		}
	}
	return nil
}

// Every simulated node is Ready and has lost the taint it was born with.
func (c *cluster) nodesReady() error {
	ready, err := c.readyNodes()
	if err == nil && len(ready) < c.simulated {
		err = fmt.Errorf("%d of %d nodes are ready", len(ready), c.simulated)
	}
	return err
}

// The nodes that are Ready and have no taint of Kubernetes' own.
func (c *cluster) readyNodes() (map[string]bool, error) {
	text, err := c.get("/api/v1/nodes")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Taints []struct{ Key string } }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	ready := map[string]bool{}
	for _, node := range list.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				ready[node.Metadata.Name] = true
			}
		}
		for _, taint := range node.Spec.Taints {
			if strings.HasPrefix(taint.Key, "node.kubernetes.io/") {
				delete(ready, node.Metadata.Name)
			}
		}
	}
	return ready, nil
}

// us-east-1 of us-east-1a.
func region(zone string) string {
	return strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz")
}
