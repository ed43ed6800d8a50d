import Diagnostics
import Foundation
import GRDB

/// The connection to `catalogue.sqlite`: one per `Bank`, used by one thread at a time.
struct Catalogue: Sendable {
    private let queue: DatabaseQueue
    let path: String

    /// - Parameter timeout: seconds to wait for another writer.
    /// - Throws: `bank.corrupt`, `bank.version`, `bank.read_only`, `io.*`.
    init(path: String, readOnly: Bool, timeout: Double) throws {
        self.path = path
        do {
            queue =
                readOnly
                ? try Catalogue.openForReading(path, timeout: timeout)
                : try Catalogue.openForWriting(path, timeout: timeout)
        } catch { throw CatalogueError.failure(error, path: path) }
    }

    private static func openForWriting(_ path: String, timeout: Double) throws -> DatabaseQueue {
        var configuration = configuration(timeout: timeout)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.execute(sql: "PRAGMA synchronous = FULL")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// SQLite needs files beside a database in WAL mode even to read it. Where it cannot make them (a read-only file
    /// system) and no log is left over, nobody can be writing, and the file is opened as immutable.
    private static func openForReading(_ path: String, timeout: Double) throws -> DatabaseQueue {
        var configuration = configuration(timeout: timeout)
        configuration.readonly = true
        do { return try DatabaseQueue(path: path, configuration: configuration) } catch let error as DatabaseError {
            guard [.SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_IOERR].contains(error.resultCode) else { throw error }
            var log = stat()
            guard stat(path + "-wal", &log) != 0 || log.st_size == 0 else {
                throw Failure(
                    .bankReadOnly,
                    "changes that are not folded in yet stand beside the catalogue, and the file system "
                        + "is read-only", path: path, hint: "run 'lorabank check' once where the bank can be written")
            }
            let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "?#%;"))
            let escaped = path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
            return try DatabaseQueue(path: "file:" + escaped + "?immutable=1", configuration: configuration)
        }
    }

    private static func configuration(timeout: Double) -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(timeout)
        configuration.label = "catalogue"
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA trusted_schema = OFF") }
        return configuration
    }

    /// Makes the tables of a new catalogue.
    func create() throws {
        do { try CatalogueSchema.migrator.migrate(queue) } catch { throw CatalogueError.failure(error, path: path) }
    }

    /// Makes sure that this is a catalogue that the program understands.
    ///
    /// - Throws: `bank.corrupt`, `bank.version`.
    func verifyFormat() throws {
        let (application, version) = try read { db in
            (
                try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0,
                try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            )
        }
        guard application == CatalogueSchema.applicationID, version >= 1 else {
            throw Failure(
                .bankCorrupt, "this is no catalogue of a bank", path: path,
                hint: "restore catalogue.sqlite from a backup; the objects are still there")
        }
        guard version <= CatalogueSchema.version else {
            throw Failure(
                .bankVersion,
                "the catalogue has format \(version), this program understands up to "
                    + "\(CatalogueSchema.version)", path: path, hint: "use a newer lorabank")
        }
    }

    /// Runs `body` on one consistent state of the catalogue.
    func read<T>(_ body: (Database) throws -> T) throws -> T {
        do { return try queue.read(body) } catch { throw CatalogueError.failure(error, path: path) }
    }

    /// Runs `body` in one `BEGIN IMMEDIATE` transaction: everything or nothing.
    func write<T>(_ body: (Database) throws -> T) throws -> T {
        do {
            return try queue.writeWithoutTransaction { db in
                var result: T?
                try db.inTransaction(.immediate) {
                    result = try body(db)
                    return .commit
                }
                guard let result else { throw Failure(.internalDefect, "a transaction gave no result") }
                return result
            }
        } catch { throw CatalogueError.failure(error, path: path) }
    }

    /// Closes the connection; the write-ahead log is folded into the file when this was the last one.
    func close() throws {
        do { try queue.close() } catch { throw CatalogueError.failure(error, path: path) }
    }
}

/// Turns errors of SQLite into failures that a user understands.
enum CatalogueError {
    static func failure(_ error: any Error, path: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let text = error.message ?? "error \(error.resultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return Failure(
                .bankLocked, "another process is writing to the catalogue", path: path,
                hint: "try again, or wait longer with --lock-timeout")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return Failure(
                .bankCorrupt, "the catalogue is damaged: \(text)", path: path,
                hint: "restore catalogue.sqlite from a backup; the objects are still there")
        case .SQLITE_FULL:
            return Failure(.ioNoSpace, "no space left for the catalogue", path: path, hint: "make room on the disk")
        case .SQLITE_READONLY:
            return Failure(.bankReadOnly, "the catalogue cannot be written: \(text)", path: path)
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_IOERR:
            return Failure(.ioFailed, "cannot use the catalogue: \(text)", path: path)
        default:
            return Failure(.internalDefect, "the catalogue refused a statement: \(text)", path: path)
        }
    }
}
