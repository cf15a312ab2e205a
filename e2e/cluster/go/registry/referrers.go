// What the library leaves out of the referrers API of OCI distribution 1.1: it gives the config's media type as the artifact type even
// when the manifest names one, in random order, does not filter, and does not tell on PUT that it knows about subjects, whereupon clients
// fall back to tags.
package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"sort"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// claims is what a manifest says about itself that a referrers list repeats.
type claims struct {
	ArtifactType string         `json:"artifactType"`
	Subject      *v1.Descriptor `json:"subject"`
}

// subjectOf gives the digest of the manifest that this one refers to, or "".
func subjectOf(manifest []byte) string {
	var said claims
	if json.Unmarshal(manifest, &said) != nil || said.Subject == nil {
		return ""
	}
	return said.Subject.Digest.String()
}

func (d durable) ask(method, url string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, httptest.NewRequest(method, url, nil))
	return answer
}

func (d durable) serveReferrers(w http.ResponseWriter, r *http.Request) {
	answer := d.ask(r.Method, r.URL.Path)
	body := answer.Body.Bytes()
	var index v1.IndexManifest
	if answer.Code == http.StatusOK {
		if err := json.Unmarshal(body, &index); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		wanted := r.URL.Query().Get("artifactType")
		kept := []v1.Descriptor{}
		for _, descriptor := range index.Manifests {
			// .../v2/NAME/referrers/DIGEST is beside .../v2/NAME/manifests/DIGEST.
			manifest := d.ask(http.MethodGet, path.Join(path.Dir(path.Dir(r.URL.Path)), "manifests", descriptor.Digest.String()))
			var said claims
			if json.Unmarshal(manifest.Body.Bytes(), &said) == nil && said.ArtifactType != "" {
				descriptor.ArtifactType = said.ArtifactType
			}
			if wanted == "" || wanted == descriptor.ArtifactType {
				kept = append(kept, descriptor)
			}
		}
		sort.Slice(kept, func(i, j int) bool { return kept[i].Digest.String() < kept[j].Digest.String() })
		index.Manifests = kept
		if wanted != "" {
			w.Header().Set("OCI-Filters-Applied", "artifactType")
		}
		var err error
		if body, err = json.Marshal(index); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = bytes.NewReader(body).WriteTo(w)
}
