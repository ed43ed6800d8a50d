/// Where things stand in a bank's folder.
struct BankLayout: Sendable {
    let folder: String

    static let settingsName = "lorabank.toml"

    var settings: String { folder + "/" + BankLayout.settingsName }
    var catalogue: String { folder + "/catalogue.sqlite" }
    var objects: String { folder + "/objects" }
    var temporary: String { folder + "/tmp" }
    var locks: String { folder + "/locks" }
    var lock: String { locks + "/bank.lock" }
    var keys: String { folder + "/keys" }
    var trash: String { folder + "/trash" }
    var quarantine: String { folder + "/quarantine" }

    /// Folders of a new bank.
    var all: [String] { [objects, temporary, locks, keys, trash, quarantine] }

    /// `objects/ab`, for an object whose digest begins with `ab`.
    func objectFolder(_ object: String) -> String { objects + "/" + object.prefix(2) }

    func objectFile(_ object: String) -> String { objectFolder(object) + "/" + object + ".tar" }

    func trashFile(_ object: String) -> String { trash + "/" + object + ".tar" }
}
