// An S3 server for tests: the Versity gateway over a folder, without its consoles, its other clouds and its command line.
//
// It verifies signatures, checksums and conditions as Amazon does. Two accounts: one owns the bucket, the other may do nothing with it.
// It listens on a port of loopback that the system chooses; the first line on standard output says where, when it does.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

const connections = 64

func main() {
	folder := flag.String("folder", "", "where everything is kept")
	region := flag.String("region", "", "what requests must be signed for")
	owner := flag.String("owner", "", "access key of who may do everything; the secret is in OWNER_SECRET")
	stranger := flag.String("stranger", "", "access key of who may do nothing; the secret is in STRANGER_SECRET")
	flag.Parse()
	// What the gateway prints about itself goes elsewhere.
	told := os.Stdout
	os.Stdout = os.Stderr

	// Metadata in files of their own: not every file system that tests run on has extended attributes.
	objects, metadata, accounts := filepath.Join(*folder, "objects"), filepath.Join(*folder, "metadata"), filepath.Join(*folder, "accounts")
	for _, path := range []string{objects, metadata, accounts} {
		must(os.MkdirAll(path, 0o700))
	}
	beside, err := meta.NewSideCar(metadata)
	must(err)
	backend, err := posix.New(objects, beside, posix.PosixOpts{SideCarDir: metadata})
	must(err)
	root := auth.Account{Access: *owner, Secret: os.Getenv("OWNER_SECRET"), Role: auth.RoleAdmin}
	known, err := auth.NewInternal(root, accounts)
	must(err)
	must(known.CreateAccount(auth.Account{Access: *stranger, Secret: os.Getenv("STRANGER_SECRET"), Role: auth.RoleUser}))
	address := free()
	server, err := s3api.New(
		backend, middlewares.RootUserConfig{Access: root.Access, Secret: root.Secret}, *region, known, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithConcurrencyLimiter(connections, connections), s3api.WithOnListen(func() { fmt.Fprintln(told, address) }),
	)
	must(err)
	must(server.ServeMultiPort([]string{address}))
}

// free finds a port: the gateway takes none that is open already, and does not tell which one the system chose.
func free() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	return listener.Addr().String()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
