// Package eksacontroller does in a test cluster what EKS Anywhere does in a
// real one, as far as a GitOps tool can notice: the kinds ([CRDs]), the
// controller that makes a Cluster Ready ([Start]) and the webhook that refuses
// changes ([Serve]). No machine is made.
//
// # The controller
//
// For every Cluster it adds the finalizer, becomes owner of the objects the
// Cluster refers to, then sets the conditions ControlPlaneInitialized,
// ControlPlaneReady, DefaultCNIConfigured, WorkersReady and Ready, one each
// [Options].Step, with EKS Anywhere's reasons, and writes the Secret
// <cluster>-kubeconfig in eksa-system. A change of the spec takes a Cluster
// through ControlPlaneReady=False (RollingUpgradeInProgress) again. What
// cannot be is reported in status.failureReason and status.failureMessage:
// references to objects that do not exist, a management cluster that does not
// exist, an eksaVersion that cannot be had. A Cluster annotated as paused is
// left alone. A self-managed Cluster that somebody deletes stays, marked for
// deletion, for ever. Tests provoke failures through [Controller.KeepNotReady],
// [Controller.Fail] and [Controller.HoldDeletion].
//
// # The webhook
//
// [Mutate] rewrites values as the mutating webhooks do, and [Review] holds the
// rules, per kind; both are pure functions. [Webhook] serves
// them to an API server. Refusals read as those of EKS Anywhere do: "field is
// immutable", "config is immutable".
//
// What it does not do: validate the content of specs, default fields (but for
// those the CRDs default), and everything of Cluster API.
package eksacontroller
