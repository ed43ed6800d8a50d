// Inspection, approval states, policies, audit chain, signatures.
