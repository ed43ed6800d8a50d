// Diagnostics: how every module tells what went wrong.
//
// `Failure` is the one error type that a user can cause; its `ErrorCode` is a stable name with a class, and the class is
// the exit status. `Finding` is what an inspection reports in passing. `ErrorPage` explains each code. `ForeignText`
// makes text from files safe to print, `Spelling` finds the word that was meant, `ProgressReporting` is how long work
// says how far it is.
//
// This module stands below all others and imports none. Begin reading at `Failure.swift`.
