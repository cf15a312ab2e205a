// The cluster's OCI registry: go-containerregistry's handler with the referrers API switched on and everything kept on disk.
//
// `crane registry serve` has neither: it answers 404 to referrers and forgets its manifests when it ends, blobs on disk or not.
// The handler keeps manifests in memory, so each accepted PUT of one is also written to a file, and the files are put again at start.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/google/go-containerregistry/pkg/registry"
)

// No real manifest comes near this; the OCI distribution specification asks registries to take at least 4 MiB.
const maxManifestBytes = 4 << 20

// stored is one manifest as it was put: replaying the request restores tags, digests and referrers alike.
type stored struct {
	Path        string
	ContentType string
	Body        []byte
}

// blobs are what the library keeps on disk, found by name: its own Stat reads and hashes the whole of a blob for every HEAD and GET, half a gigabyte for an image.
// A blob was verified when it was put (or linked here from an image that was built on this machine), and whoever pulls it verifies it again.
type blobs struct {
	registry.BlobHandler
	registry.BlobPutHandler
	registry.BlobDeleteHandler
	folder string
}

func newBlobs(folder string) (blobs, error) {
	kept := registry.NewDiskBlobHandler(folder)
	puts, canPut := kept.(registry.BlobPutHandler)
	deletes, canDelete := kept.(registry.BlobDeleteHandler)
	if !canPut || !canDelete {
		return blobs{}, errors.New("the library's blobs on disk can no longer be put or deleted")
	}
	return blobs{kept, puts, deletes, folder}, nil
}

func (b blobs) Stat(_ context.Context, _ string, digest v1.Hash) (int64, error) {
	info, err := os.Stat(filepath.Join(b.folder, digest.Algorithm, digest.Hex))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, registry.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

type durable struct {
	handler http.Handler
	folder  string
}

func (d durable) file(path string) string {
	return filepath.Join(d.folder, fmt.Sprintf("%x.json", sha256.Sum256([]byte(path))))
}

func (d durable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/referrers/") && r.Method == http.MethodGet {
		d.serveReferrers(w, r)
		return
	}
	if !strings.Contains(r.URL.Path, "/manifests/") || (r.Method != http.MethodPut && r.Method != http.MethodDelete) {
		d.handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifestBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, r)
	if answer.Code < 300 {
		if err := d.keep(r, body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	if subject := subjectOf(body); subject != "" && answer.Code == http.StatusCreated {
		w.Header().Set("OCI-Subject", subject)
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// keep makes the files say what the handler now knows. A file appears whole or not at all.
func (d durable) keep(r *http.Request, body []byte) error {
	if r.Method == http.MethodDelete {
		if err := os.Remove(d.file(r.URL.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	content, err := json.Marshal(stored{Path: r.URL.Path, ContentType: r.Header.Get("Content-Type"), Body: body})
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(d.folder, "put-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(content); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), d.file(r.URL.Path))
}

// restore puts every kept manifest again. An index is refused until its members are there, so rounds go on while they help.
func (d durable) restore() error {
	names, err := filepath.Glob(filepath.Join(d.folder, "*.json"))
	if err != nil {
		return err
	}
	for len(names) > 0 {
		var refused []string
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			var manifest stored
			if err := json.Unmarshal(content, &manifest); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			request := httptest.NewRequest(http.MethodPut, manifest.Path, bytes.NewReader(manifest.Body))
			request.Header.Set("Content-Type", manifest.ContentType)
			answer := httptest.NewRecorder()
			d.handler.ServeHTTP(answer, request)
			if answer.Code >= 300 {
				refused = append(refused, name)
			}
		}
		if len(refused) == len(names) {
			return fmt.Errorf("%d manifests in %s are refused at restart, the first is %s", len(refused), d.folder, refused[0])
		}
		names = refused
	}
	return nil
}

func run() error {
	address := flag.String("address", "127.0.0.1:5000", "host:port to listen on; plain HTTP without authentication, so keep it on a private address")
	disk := flag.String("disk", "", "folder that keeps blobs and manifests")
	flag.Parse()
	if *disk == "" {
		return errors.New("--disk is required: the folder that keeps blobs and manifests")
	}
	content, manifests := filepath.Join(*disk, "blobs"), filepath.Join(*disk, "manifests")
	for _, folder := range []string{content, manifests} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	onDisk, err := newBlobs(content)
	if err != nil {
		return err
	}
	handler := registry.New(registry.WithBlobHandler(onDisk), registry.WithReferrersSupport(true))
	server := durable{handler: handler, folder: manifests}
	if err := server.restore(); err != nil {
		return err
	}
	log.Printf("serving %s on %s", *disk, *address)
	return (&http.Server{Addr: *address, Handler: server, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
