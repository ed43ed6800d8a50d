// Reports: plain values in, text out.
//
// What people see is made here and nowhere else: tables for terminals (`TerminalTable`), sizes and times in words
// (`Quantities`), figures (`HeatMap`, an SVG text) and whole pages (`HTMLPage`, one file without any outside part).
// Nothing in this module reads a file or knows what an adapter is; the same values give the same bytes on every
// machine, so that figures can be compared with stored ones.
//
// Text that came from files may be passed as it is: every function escapes for its own medium.
//
// Begin reading at `Terminal/TerminalTable.swift`, then `Pages/HTMLPage.swift`.
