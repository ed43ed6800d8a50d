// Governance: who may use which adapter, and the record of who decided what.
//
// Begin with `ApprovalState` (the four states and the decisions between them), `Policy` (what a bank allows) and
// `AuditChain` (a log whose rows are chained by SHA-256). Everything here is pure: the bank stores what these types
// compute. `Inspection/` examines the weights of adapters.
