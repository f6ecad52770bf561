// Package deploy checks what is in the directory deploy: it lints and renders the Helm chart with
// Helm's own packages, which are what `helm lint` and `helm template` run, and decodes every
// object strictly into the types of Kubernetes. It is a module of its own, so that the server's
// requires none of that.
package deploy
