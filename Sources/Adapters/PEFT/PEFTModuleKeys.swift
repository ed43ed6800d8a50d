/// Keys of `rank_pattern` and `alpha_pattern` that name one module each.
struct PEFTModuleKeys {
    private let names: [String]
    private let scalars: [[UInt32]]

    /// - Parameter names: all modules of the adapter.
    init(_ names: [String]) {
        self.names = names
        scalars = names.map { $0.unicodeScalars.map(\.value) }
    }

    /// A key that matches the module at `index` under `(.*\.)?(key)$` and no other module.
    ///
    /// The name as it stands where that is enough (older readers know nothing else), escaped where a dot of it would
    /// match another name, anchored where the module is the tail of another (`fc1` beside `x.fc1`).
    func key(at index: Int) -> String {
        let name = names[index]
        let escaped = PEFTModuleKeys.escape(name)
        return [name, escaped, "^" + escaped].first { isUnique($0, index) } ?? "^" + escaped + "\\Z"
    }

    private func isUnique(_ key: String, _ index: Int) -> Bool {
        guard let pattern = try? ModulePattern(key) else { return false }
        var steps = 0
        return scalars.indices.allSatisfy { other in
            pattern.matches(scalars[other], steps: &steps) == (other == index)
        }
    }

    /// Every ASCII character that is no letter, digit or underscore gets a backslash.
    static func escape(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars {
            if scalar.isASCII, !ScalarSet.Member.isWord(scalar.value) { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result
    }
}
