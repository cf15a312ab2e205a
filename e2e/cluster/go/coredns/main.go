// The cluster's DNS server: CoreDNS with the handful of plugins a closed test cluster uses.
//
// CoreDNS's own main links every plugin, three cloud vendors' libraries among them, which triples download and build.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/coremain"
)

func main() {
	coremain.Run()
}
