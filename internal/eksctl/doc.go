// Package eksctl runs `eksctl anywhere create|upgrade|delete cluster` as the provisioner of a run: it is a
// [gitops.Provisioner].
//
// The child gets a private copy of the cluster's file without its GitOps part, which is removed again
// whatever happens, and an environment without the credentials of the GitOps part. It runs in the working
// directory, where EKS Anywhere keeps its files, and in a process group of its own: the first interrupt is
// passed on to that group, the second one kills it. What it prints is passed on line by line and kept in a
// log file, without terminal control characters and without the secrets of the environment.
//
// How EKS Anywhere reads its command line and finds kubeconfigs is that of its command's sources
// (cmd/eksctl-anywhere/cmd).
package eksctl
