package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// The names of the one image a real node has. The same in all: enough for a rollout from one to the next.
var images = []string{"lab.example/busybox:1", "lab.example/busybox:2", "lab.example/busybox:3"}

// What busybox can be called by.
func applets() ([]string, error) {
	program, err := elf.Open(busybox)
	if err != nil {
		return nil, fmt.Errorf("real nodes need busybox: %w", err)
	}
	defer program.Close()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return nil, errors.New("real nodes need a static busybox (Debian: apt-get install busybox-static)")
		}
	}
	list, err := exec.Command(busybox, "--list").Output()
	return strings.Fields(string(list)), err
}

// Writes an image as `docker save` does: one layer with busybox. Its command sleeps, so that it is the sandboxes' too.
func writeImage(path string) error {
	names, err := applets()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	for _, folder := range []string{"bin/", "etc/", "tmp/"} {
		if err := files.WriteHeader(&tar.Header{Name: folder, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := add(files, "bin/busybox", program, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		if name == "busybox" {
			continue
		}
		link := &tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}
		if err := files.WriteHeader(link); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/sleep", "inf"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(layer.Bytes())}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": images, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	whole := tar.NewWriter(file)
	for name, text := range map[string][]byte{"layer.tar": layer.Bytes(), "config.json": config, "manifest.json": manifest} {
		if err := add(whole, name, text, 0o644); err != nil {
			return err
		}
	}
	return whole.Close()
}

func add(archive *tar.Writer, name string, text []byte, mode int64) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := archive.Write(text)
	return err
}

func digest(text []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text))
}
