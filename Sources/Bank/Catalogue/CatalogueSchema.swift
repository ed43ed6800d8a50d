import GRDB

/// The tables of `catalogue.sqlite`. Migrations are never edited once released: a change is a new migration.
///
/// With `trusted_schema` off, which keeps a foreign catalogue from running anything, SQLite 3.40 accepts neither JSON
/// functions in CHECK clauses nor full-text tables in triggers. So JSON is checked by the program, and `SearchIndex`
/// fills the full-text tables.
enum CatalogueSchema {
    /// "LRAB" read as a big-endian number: tells `file` and others what this database is.
    static let applicationID = 0x4C52_4142
    /// `PRAGMA user_version` after the last migration.
    static let version = 1

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 adapters, lineage, audit, search") { db in
            for statement in tables + indexes + guards + search { try db.execute(sql: statement) }
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = 1")
        }
        return migrator
    }

    private static let tables = [
        """
        CREATE TABLE base_model (
          id INTEGER PRIMARY KEY, name TEXT NOT NULL, revision TEXT NOT NULL DEFAULT '', digest TEXT, arch TEXT,
          UNIQUE (name, revision)) STRICT
        """,
        """
        CREATE TABLE adapter (
          id INTEGER PRIMARY KEY, namespace TEXT NOT NULL DEFAULT 'local', name TEXT NOT NULL,
          version INTEGER NOT NULL CHECK (version >= 1), object TEXT NOT NULL CHECK (length(object) = 64),
          object_bytes INTEGER NOT NULL, delta_id TEXT NOT NULL, kind TEXT NOT NULL, format TEXT NOT NULL,
          base_id INTEGER NOT NULL REFERENCES base_model(id),
          rank_min INTEGER NOT NULL, rank_max INTEGER NOT NULL, modules INTEGER NOT NULL,
          parameters INTEGER NOT NULL, bytes INTEGER NOT NULL, dtype TEXT NOT NULL,
          source TEXT NOT NULL, origin TEXT,
          state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending','approved','rejected','revoked')),
          title TEXT, description TEXT, licence TEXT, author TEXT,
          created_at TEXT NOT NULL, created_by TEXT NOT NULL, removed_at TEXT,
          run_id INTEGER REFERENCES recipe_run(id),
          UNIQUE (namespace, name, version)) STRICT
        """,
        """
        CREATE TABLE alias (
          namespace TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
          adapter_id INTEGER NOT NULL REFERENCES adapter(id), set_at TEXT NOT NULL,
          PRIMARY KEY (namespace, name, alias)) STRICT
        """,
        """
        CREATE TABLE tag (
          adapter_id INTEGER NOT NULL REFERENCES adapter(id) ON DELETE CASCADE,
          key TEXT NOT NULL, value TEXT NOT NULL DEFAULT '', PRIMARY KEY (adapter_id, key, value)) STRICT
        """,
        """
        CREATE TABLE note (
          id INTEGER PRIMARY KEY, adapter_id INTEGER NOT NULL REFERENCES adapter(id) ON DELETE CASCADE,
          text TEXT NOT NULL, actor TEXT NOT NULL, at TEXT NOT NULL) STRICT
        """,
        """
        CREATE TABLE module (
          adapter_id INTEGER NOT NULL REFERENCES adapter(id) ON DELETE CASCADE,
          name TEXT NOT NULL, kind TEXT NOT NULL, d_out INTEGER NOT NULL, d_in INTEGER NOT NULL,
          rank INTEGER NOT NULL, scale REAL NOT NULL, fro REAL, sigma1 REAL, stable_rank REAL, spectrum BLOB,
          PRIMARY KEY (adapter_id, name)) STRICT
        """,
        """
        CREATE TABLE recipe_run (
          id INTEGER PRIMARY KEY, recipe_sha TEXT NOT NULL, recipe TEXT NOT NULL, program TEXT NOT NULL,
          seed INTEGER, threads INTEGER, started_at TEXT NOT NULL, ended_at TEXT, status TEXT NOT NULL,
          result_object TEXT) STRICT
        """,
        """
        CREATE TABLE lineage (
          child_id INTEGER NOT NULL REFERENCES adapter(id), position INTEGER NOT NULL,
          parent_id INTEGER REFERENCES adapter(id), parent_object TEXT NOT NULL, role TEXT NOT NULL, weight REAL,
          recipe_id INTEGER REFERENCES recipe_run(id), PRIMARY KEY (child_id, position)) STRICT
        """,
        """
        CREATE TABLE metric (
          id INTEGER PRIMARY KEY, adapter_id INTEGER NOT NULL REFERENCES adapter(id), dataset TEXT NOT NULL,
          split TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, n INTEGER, ci_low REAL, ci_high REAL,
          step INTEGER, run TEXT, at TEXT NOT NULL) STRICT
        """,
        """
        CREATE TABLE finding (
          adapter_id INTEGER NOT NULL REFERENCES adapter(id) ON DELETE CASCADE, code TEXT NOT NULL,
          level TEXT NOT NULL CHECK (level IN ('info','warning','error')), place TEXT NOT NULL DEFAULT '',
          details TEXT, PRIMARY KEY (adapter_id, code, place)) STRICT
        """,
        """
        CREATE TABLE approval (
          id INTEGER PRIMARY KEY, adapter_id INTEGER NOT NULL REFERENCES adapter(id), object TEXT NOT NULL,
          decision TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, policy TEXT, signature BLOB,
          at TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0) STRICT
        """,
        """
        CREATE TABLE audit (
          seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
          subject TEXT NOT NULL, details TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL UNIQUE) STRICT
        """,
        """
        CREATE TABLE operation (
          id INTEGER PRIMARY KEY, batch TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
          inverse TEXT, at TEXT NOT NULL,
          audit_seq INTEGER NOT NULL REFERENCES audit(seq), undone_by INTEGER REFERENCES audit(seq)) STRICT
        """,
        """
        CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT
        """,
    ]

    private static let indexes = [
        "CREATE INDEX adapter_object ON adapter(object)",
        "CREATE INDEX adapter_delta ON adapter(delta_id)",
        "CREATE INDEX tag_key ON tag(key, value)",
        "CREATE INDEX note_adapter ON note(adapter_id)",
        "CREATE INDEX alias_adapter ON alias(adapter_id)",
        "CREATE INDEX lineage_parent ON lineage(parent_id)",
        "CREATE INDEX lineage_parent_object ON lineage(parent_object)",
        "CREATE INDEX metric_adapter ON metric(adapter_id, name)",
        "CREATE INDEX approval_adapter ON approval(adapter_id)",
        "CREATE INDEX operation_open ON operation(id) WHERE undone_by IS NULL",
    ]

    private static let guards = [
        """
        CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END
        """,
        """
        CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END
        """,
    ]

    private static let search = [
        """
        CREATE VIRTUAL TABLE adapter_fts USING fts5(
          name, title, description, tags, notes, modules, tokenize = "unicode61 remove_diacritics 2")
        """,
        """
        CREATE VIRTUAL TABLE adapter_trigram USING fts5(
          name, title, description, tags, notes, tokenize = "trigram")
        """,
    ]
}
