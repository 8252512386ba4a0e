// Package stack runs a Kubernetes cluster for tests out of ordinary processes:
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok in the
// place of kubelets, Flux's source-controller and kustomize-controller, and
// the EKS Anywhere test controller of package eksacontroller.
//
// What it owns: building the programs once per set of versions ([Binaries]),
// starting, stopping and lending them ([Start], [Stack.Stop], [Stack.Reset], [Pool]), access
// for the program under test ([Stack.Kubeconfig]), the record of what that
// program changed ([Stack.MutatingRequests]) and faults
// ([Stack.StopAPIServer], [Stack.FreezeAPIServer], [Stack.HoldPods]).
// What it refuses: containers, images, a fake of anything of Kubernetes or
// Flux, and any knowledge of the program under test.
//
// # Promises
//
//   - A stack keeps all its files below one directory ([Stack.Dir]), removed
//     by Stop. Directories left by killed test runs are removed by the next
//     Start.
//   - Its processes do not outlive the process that started them: on Linux the
//     kernel kills them (PR_SET_PDEATHSIG), elsewhere Stop does.
//   - It listens on loopback only. The ports of etcd and kube-apiserver are
//     reserved for the life of the stack, over restarts too, so stacks may run
//     side by side.
//   - Every user has a client certificate of its own: "operator" is the program
//     under test, "stack-admin" the test, so that the audit log tells them
//     apart. The Flux controllers use the tokens of their service accounts and
//     so have exactly the rights that were installed for them.
//
// # Pods
//
// Pods are pretended: kwok marks them Running and Ready at once, nothing runs
// in them. The exception are the pods of source-controller and
// kustomize-controller: for each of them the stack runs the real program
// beside the cluster, with the arguments of the pod's container.
//
// The package needs a Unix system, Go and git.
package stack
